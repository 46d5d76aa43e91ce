mlplan {
  required_version = "newest"
}
