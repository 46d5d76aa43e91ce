environment "a" {
  promote_from = environment.b
}
locals {
  from = environment.a
}
environment "b" {
  promote_from = local.from
}
