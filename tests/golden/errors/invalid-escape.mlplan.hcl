environment "e" {
  description = "a\q"
}
