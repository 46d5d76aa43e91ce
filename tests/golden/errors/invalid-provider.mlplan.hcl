environment "e" {
  provider = "local"
}
