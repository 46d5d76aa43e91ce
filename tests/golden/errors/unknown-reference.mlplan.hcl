locals {
  name = "x"
}
environment "e" {
  description  = "${local.nme} ${var.x} ${thing.y}"
  promote_from = environment.dve
}
environment "dev" {}
