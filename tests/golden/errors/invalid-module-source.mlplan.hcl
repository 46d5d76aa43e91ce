module "a" {
  source = "terraform-modules/x"
}
module "b" {
  source = "git::ext::sh -c id"
}
