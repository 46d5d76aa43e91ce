environment "e" {
  port = 1 ; 2
}
