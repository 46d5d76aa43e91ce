thing "a" {
  size     = 2
  text     = "The flights of June 2013, every one of them that left New York on time or late, with the weather of the hour before it left."
  tags     = ["carrier", "origin", "destination", "air_time", "distance", "scheduled_hour"]
  labels   = { team = "fraud", cost = "42", owner = "ada" }
  settings = { deep = { numbers = [1, 2, { three = "y" }], flag = false }, same = "same" }

  part "wheel" {
    weight = 2
    wait   = "30m"
  }
  part "hub" {
    weight = 7
  }
}

thing "script" {
  text = <<-EOT
    first
    second
    3rd
    fourth
    fifth
    sixth
    seventh
  EOT
}

output "tags" {
  value = join(",", thing.a.tags)
}
