environment "e" {
  description = null.a
}
