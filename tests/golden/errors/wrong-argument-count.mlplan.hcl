environment "e" {
  description = upper("a", "b")
}
