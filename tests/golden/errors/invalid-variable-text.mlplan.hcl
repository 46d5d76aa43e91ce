# var: l=[1
variable "l" {
  type = list(number)
}
