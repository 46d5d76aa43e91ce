environment "e" {
  port = 1 description = "x"
}
