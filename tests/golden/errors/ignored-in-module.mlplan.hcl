module "m" {
  source = "./m"
}
# -- m/m.mlplan.hcl --
mlplan {
  backend "local" {}
}
environment "e" {}
