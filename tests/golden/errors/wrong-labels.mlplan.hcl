environment {}
variable "a" "b" {}
