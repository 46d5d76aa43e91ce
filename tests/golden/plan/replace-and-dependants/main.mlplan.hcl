thing "a" {
  colour = "blue"
}

thing "b" {
  text = thing.a.identity
}

output "a" {
  value = thing.a.identity
}
