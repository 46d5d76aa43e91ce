environment "e" {
  description = "%{ iff true }x%{ endif }"
}
