moved {
  from = environment.a
  to   = model.b
}
moved {
  from = environment.e
  to   = environment.f
}
environment "e" {}
