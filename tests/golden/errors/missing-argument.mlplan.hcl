output "o" {}
model "m" {
  train {
    code = ["a"]
    data = {}
  }
}
