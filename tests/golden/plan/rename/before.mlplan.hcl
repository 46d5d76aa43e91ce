thing "a" {}

shelf "s" {
  on    = thing.a
  slots = ["x"]
}
