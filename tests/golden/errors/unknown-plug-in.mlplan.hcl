mlplan {
  backend "s33" {}
}
environment "e" {
  provider = dokcer
}
