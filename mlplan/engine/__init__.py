"""Observe, diff, plan, schedule, execute, recover. Knows kinds only through one protocol, and no word of machine learning."""
