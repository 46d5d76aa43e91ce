module "m" {
  source = "./m"
}
# -- m/m.mlplan.hcl --
module "again" {
  source = "../m"
}
