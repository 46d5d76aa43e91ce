environment "e" {
  description = ["a"][3]
}
