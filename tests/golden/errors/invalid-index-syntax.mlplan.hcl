locals {
  x = [[1]]
}
environment "e" {
  description = local.x.0.0
}
