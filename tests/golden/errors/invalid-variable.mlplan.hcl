# var: port=80
variable "port" {
  type = number
  validation {
    condition     = var.port > 1024
    error_message = "Port ${var.port} belongs to the system."
  }
}
