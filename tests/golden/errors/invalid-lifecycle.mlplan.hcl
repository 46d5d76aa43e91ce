environment "e" {
  lifecycle {
    ignore_changes = "description"
  }
}
