environment "e" {
  lifecycle {
    ignore_changes       = [ready]
    replace_triggered_by = [environment.f]
  }
}
environment "f" {
  lifecycle {
    create_before_destroy = true
  }
}
