environment "e" {
  dynamic "rollout" {
    for_each = ["canary"]
  }
}
