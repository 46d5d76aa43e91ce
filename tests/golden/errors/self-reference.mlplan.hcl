environment "e" {
  description = "like ${environment.e.description}"
}
