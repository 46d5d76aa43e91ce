variable "v" {
  default = 1
  validation {
    condition     = "maybe"
    error_message = "No."
  }
}
environment "e" {
  description = null ? 1 : 2
}
