environment "e" {
  description = { a = 1 b = 2 }
}
