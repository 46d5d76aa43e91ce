model "m" {
  task = "regression"
}
check "empty" {}
