thing "counted" {
  count = 2
  size  = count.index
}

thing "each" {
  for_each = { eu = 1, us = 2 }
  size     = each.value
  text     = thing.counted[1].identity
}
