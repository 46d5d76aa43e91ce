environment "e" {
  description = "a ${[1]}"
}
