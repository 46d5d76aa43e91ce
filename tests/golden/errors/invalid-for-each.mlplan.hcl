variable "secret" {
  default   = { a = 1 }
  sensitive = true
}
environment "a" {
  for_each = var.secret
}
environment "b" {
  for_each = ["x"]
}
environment "c" {
  for_each = toset([environment.d.ready])
}
environment "d" {}
