thing "gone" {}

thing "leaning" {}

thing "edited" {
  size = 1
}
