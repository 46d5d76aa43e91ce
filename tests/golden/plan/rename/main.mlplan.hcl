thing "b" {
  size = 5
}

shelf "t" {
  on    = thing.b
  slots = ["x"]
}

moved {
  from = thing.a
  to   = thing.b
}

moved {
  from = shelf.s
  to   = shelf.t
}
