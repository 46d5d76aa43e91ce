thing "a" {}

thing "b" {
  on = thing.a
}

thing "c" {
  on = thing.b
}

output "c" {
  value = thing.c.identity
}
