environment "e" {
  health = { within = "soon" }
}
