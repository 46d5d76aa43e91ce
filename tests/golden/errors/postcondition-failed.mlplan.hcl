environment "e" {
  description = "x"
  lifecycle {
    postcondition {
      condition     = self.description != "x"
      error_message = "It is ${self.description}."
    }
  }
}
