environment "e" {
  description = 0 / 0
}
