module "m" {
  source = "./m"
}
# -- m/m.mlplan.hcl --
provider "local" {}
environment "e" {}
