environment "e" {
  description = 1 +
  2
}
