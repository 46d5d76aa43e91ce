"""Commands: arguments, exit codes, signals, progress. No logic."""
