variable "count" {
  default = 1
}
environment "a b" {}
