environment "e" {
  description = [for x in 5 : x]
}
