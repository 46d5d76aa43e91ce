thing "a" {}

thing "b" {}
