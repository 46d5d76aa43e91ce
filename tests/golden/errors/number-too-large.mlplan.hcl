environment "e" {
  description = pow(10, 400)
}
