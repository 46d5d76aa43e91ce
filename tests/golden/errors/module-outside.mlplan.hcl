module "m" {
  source = "../other"
}
