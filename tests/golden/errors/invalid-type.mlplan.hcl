variable "v" {
  type    = lst(string)
  default = []
}
