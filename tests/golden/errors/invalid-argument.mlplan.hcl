environment "e" {
  description = upper([])
}
