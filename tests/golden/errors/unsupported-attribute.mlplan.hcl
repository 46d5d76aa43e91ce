environment "e" {
  description = environment.f.descripton
}
environment "f" {}
