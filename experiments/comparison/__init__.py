"""A comparison: plan, run, choose, collect."""
