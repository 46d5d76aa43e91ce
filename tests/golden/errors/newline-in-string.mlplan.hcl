environment "e" {
  description = "a
}
