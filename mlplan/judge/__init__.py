"""Statistics and verdicts: intervals, two-sample tests, drift distances, sequential tests. Pure functions, no input or
output."""
