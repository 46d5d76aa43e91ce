environment "e" {
  port = "many"
}
variable "v" {
  type    = list(number)
  default = "x"
}
