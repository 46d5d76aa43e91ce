environment "e" {}
locals {
  a = 1
}
locals {
  a = 2
}
environment "e" {}
