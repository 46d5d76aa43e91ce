variable "v" {
  default   = "x"
  sensitive = true
}
output "o" {
  value = "a ${var.v}"
}
