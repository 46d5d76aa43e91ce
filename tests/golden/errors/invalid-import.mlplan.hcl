import {
  to = environment.prodution
  id = "x"
}
environment "production" {}
