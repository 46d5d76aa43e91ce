environment "e" {
  description = "a" * 2
}
