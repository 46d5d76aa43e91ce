enviroment "e" {}
environment "f" {
  rolout "canary" {}
}
