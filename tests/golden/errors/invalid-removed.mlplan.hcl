removed {
  from = environment.e
}
removed {
  from = environment.f["k"]
}
environment "e" {}
