environment "e" {}
# -- mlplan.lock.hcl --
something "else" {}
