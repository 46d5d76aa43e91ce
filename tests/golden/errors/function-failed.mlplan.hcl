environment "e" {
  description = element([], 0)
}
