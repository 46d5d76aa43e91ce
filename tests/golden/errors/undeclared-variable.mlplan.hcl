variable "region" {
  default = "eu"
}
# -- mlplan.vars.hcl --
regoin = "us"
