thing "a" {}
