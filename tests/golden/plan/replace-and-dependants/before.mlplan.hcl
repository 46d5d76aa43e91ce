thing "a" {
  colour = "red"
}

thing "b" {
  text = thing.a.identity
}

output "a" {
  value = thing.a.identity
}
