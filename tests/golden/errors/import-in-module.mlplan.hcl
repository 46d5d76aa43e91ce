module "m" {
  source = "./m"
}
# -- m/m.mlplan.hcl --
import {
  to = environment.e
  id = "x"
}
environment "e" {}
