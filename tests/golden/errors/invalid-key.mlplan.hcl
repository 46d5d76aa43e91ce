environment "e" {
  description = { (null) = 1 }
}
