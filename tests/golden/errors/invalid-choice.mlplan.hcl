model "m" {
  task = "binary_clasification"
  train {
    run  = "python train.py"
    code = ["train.py"]
    data = {}
  }
}
