thing "a" {
  size = 4
}
