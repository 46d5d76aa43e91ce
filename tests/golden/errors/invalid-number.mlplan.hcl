environment "e" {
  description = 1e99999
}
