# Will a flight arrive 15 minutes late or more? The model, what it must prove, where it goes, and who watches it.

mlplan {
  required_version = "~> 0.1"
}

model "flights" {
  description = "Chance that a flight from New York City arrives 15 minutes late or more"
  owner       = "flight-ml"
  task        = "binary_classification"

  train {
    run  = "python train.py"
    code = ["train.py"]
    data = { train = data_contract.flights }
    params = {
      max_iter       = 60
      learning_rate  = 0.1
      max_leaf_nodes = 15
      weather        = "raw"
    }
    seed   = 7
    limits = { cpu = 1, memory = "2Gi", time = "5m" }
  }

  evaluate {
    data   = data_contract.holdout
    slices = ["carrier", "origin"]
  }

  gate "ranks_well" {
    metric   = "roc_auc"
    at_least = 0.68
  }
  gate "no_worse_than_live" {
    metric        = "roc_auc"
    no_worse_than = "live"
    margin        = 0.01
  }
  gate "fair_by_carrier" {
    metric      = "roc_auc"
    across      = "carrier"
    largest_gap = 0.2
    min_rows    = 1000
  }
  gate "small" {
    budget = { p95_latency = "250ms", memory = "1Gi", size = "10MiB" }
  }

  deploy_to = [environment.dev, environment.staging, environment.production]
}

monitor "flights_live" {
  description = "Is production still asked what the model was trained on, and does it answer?"
  model       = model.flights
  environment = environment.production
  every       = "12s"

  watch "inputs" {
    drift = data_contract.flights.drift.since_training
  }
  watch "service" {
    error_rate  = { at_most = 0.01 }
    p95_latency = { at_most = "250ms" }
  }

  on_breach "inputs" {
    do       = "retrain"
    cooldown = "10m"
    at_most  = "4/month"
  }
  on_breach "service" {
    do = "alert"
  }
}

output "scoring_url" {
  value = model.flights.deployment["production"].url
}
output "version" {
  value = model.flights.deployment["production"].version
}
