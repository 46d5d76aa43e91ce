locals {
  ready = false
}
environment "e" {
  lifecycle {
    precondition {
      condition     = local.ready
      error_message = "Not ready."
    }
  }
}
