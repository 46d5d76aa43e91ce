module "m" {
  source = "git::https://example.com/modules.git//a?ref=v1"
}
