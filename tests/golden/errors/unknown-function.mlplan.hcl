environment "e" {
  description = uper("x")
}
