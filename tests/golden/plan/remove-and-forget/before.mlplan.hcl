thing "old" {}

thing "on_old" {
  on = thing.old
}

thing "kept" {
  for_each = toset(["x", "y"])
}
