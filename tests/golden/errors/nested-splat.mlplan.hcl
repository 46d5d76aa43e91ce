locals {
  x = [{ a = [{ b = 1 }] }]
}
environment "e" {
  description = length(local.x.*.a.*.b)
}
