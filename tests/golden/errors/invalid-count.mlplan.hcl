environment "a" {
  count = -1
}
environment "b" {
  count    = 1
  for_each = {}
}
environment "c" {
  count = environment.d.ready ? 1 : 0
}
environment "d" {}
