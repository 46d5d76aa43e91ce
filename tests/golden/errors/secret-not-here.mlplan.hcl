variable "v" {
  default   = "x"
  sensitive = true
}
environment "e" {
  description = "a ${var.v}"
}
