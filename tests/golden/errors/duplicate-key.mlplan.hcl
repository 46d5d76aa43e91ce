environment "e" {
  description = keys({ for x in ["a", "a"] : x => 1 })[0]
}
