thing "base" {
  size   = 3
  tags   = ["a", "b"]
  labels = { team = "risk", cost = "42" }
  secret = "never shown"

  part "wheel" {
    weight = 2
    wait   = "90s"
  }
}

thing "upper" {
  on   = thing.base
  text = "stands on ${thing.base.identity}"
}

shelf "s" {
  on    = thing.upper
  slots = ["left", "right"]
}

output "identity" {
  value = thing.upper.identity
}

output "all" {
  value = { base = thing.base.identity, size = thing.base.size }
}
