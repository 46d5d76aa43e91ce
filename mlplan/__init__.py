"""mlplan: one reviewed plan for machine-learning delivery, from data snapshot to traffic split."""

__version__ = "0.1.0"
