environment "e" {
  descripton = "x"
  rollout    = "canary"
}
module "m" {
  source = "./m"
  nam    = 1
}
# -- m/m.mlplan.hcl --
variable "name" {
  default = 1
}
