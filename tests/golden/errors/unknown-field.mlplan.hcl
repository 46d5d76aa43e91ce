environment "e" {
  health = { pth = "/" }
}
