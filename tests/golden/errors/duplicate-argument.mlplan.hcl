environment "e" {
  port = 1
  port = 2
}
