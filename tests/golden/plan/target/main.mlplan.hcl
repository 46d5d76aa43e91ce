thing "a" {}

thing "b" {
  on = thing.a
}

thing "c" {
  on = thing.b
}
