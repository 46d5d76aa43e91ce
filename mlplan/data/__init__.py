"""Contracts to one-scan queries, engines, sources, snapshots, profiles."""
