# Where the model is served. Holds are short enough to watch; a real team would write hours.

environment "dev" {
  description = "The newest version that passed its gates, at once"
  provider    = local
}

environment "staging" {
  provider     = local
  promote_from = environment.dev
  rollout "blue_green" {
    smoke_test = "python smoke.py"
  }
}

environment "production" {
  provider     = local
  promote_from = environment.staging
  rollout "canary" {
    steps           = [10, 50, 100]
    hold            = "3s"
    look_every      = "1s"
    bake            = "2s"
    on_failure      = "rollback"
    on_inconclusive = "hold"
    give_up_after   = "90s"
    success "errors" {
      metric        = "error_rate"
      no_worse_than = "live"
      margin        = 0.02
      min_requests  = 150
    }
    success "latency" {
      metric       = "p95_latency"
      at_most      = "250ms"
      min_requests = 150
    }
  }
}
