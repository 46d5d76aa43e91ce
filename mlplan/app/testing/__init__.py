"""`test`: runs of `*.test.hcl` files, each in a copy of the project with a state of its own."""
