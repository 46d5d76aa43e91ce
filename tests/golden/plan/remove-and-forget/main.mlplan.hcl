thing "new" {}

removed {
  from = thing.kept

  lifecycle {
    destroy = false
  }
}
