environment "e" {
  description = "x"
}
check "named" {
  assert {
    condition     = environment.e.description == "y"
    error_message = "The description is ${environment.e.description}."
  }
}
