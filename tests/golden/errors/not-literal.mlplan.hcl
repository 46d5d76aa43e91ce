variable "v" {
  default   = 1
  sensitive = local.x
}
locals {
  x = true
}
