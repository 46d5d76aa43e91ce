environment "e" {
  description = [1)
}
