environment "e" {
  description = true ? [1] : {}
}
