environment "e" {
  lifecycle {
    ignore_changes = "description"
  }
}
model "m" {
  task = "regression"
  train {
    run  = "python train.py"
    code = ["train.py"]
    data = { train = data_contract.d }
  }
  lifecycle {
    ignore_changes       = [train.sed, gat, count, gate.x.at_leas, train.limits.cpus]
    replace_triggered_by = [local.x]
  }
}
data_contract "d" {
  source  = "d.csv"
  columns = {}
}
locals {
  x = 1
}
