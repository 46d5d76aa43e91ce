environment "e" {
  lifecycle {
    ignore_changes = [description]
  }
}
import {
  to = environment.e
  id = "somewhere"
}
