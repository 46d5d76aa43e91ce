environment "e" {
  lifecycle {}
  lifecycle {}
}
