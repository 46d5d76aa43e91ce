module "m" {
  source = "./m"
  count  = 400
}
# -- m/m.mlplan.hcl --
environment "e" {
  count = 400
}
