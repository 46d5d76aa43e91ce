model "m" {
  task = "regression"
  train {
    run  = "x"
    code = ["a"]
    data = { train = environment.e }
  }
}
environment "e" {
  promote_from = "dev"
}
