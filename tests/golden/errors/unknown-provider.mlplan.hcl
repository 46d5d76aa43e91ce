provider "local" {
  alias = "eu"
}
environment "e" {
  provider = local.ue
}
