thing "a" {
  size     = 1
  text     = "The flights of May 2013, every one of them that left New York on time or late, with the weather of the hour before it left."
  tags     = ["carrier", "origin", "destination", "distance", "scheduled_hour", "weekday"]
  labels   = { team = "risk", cost = "42", stage = "dev" }
  settings = { deep = { numbers = [1, 2, { three = "x" }], flag = true }, same = "same" }

  part "wheel" {
    weight = 2
    wait   = "90s"
  }
  part "axle" {
    weight = 7
  }
}

thing "script" {
  text = <<-EOT
    first
    second
    third
    fourth
    fifth
    sixth
  EOT
}

output "tags" {
  value = join(",", thing.a.tags)
}
