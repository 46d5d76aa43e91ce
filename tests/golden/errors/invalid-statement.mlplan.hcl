environment "e" {
  port
}
