environment "e" {}
}
