environment "e" {
  description = upper("x"
