environment "e" {
  depends_on = ["environment.f"]
}
