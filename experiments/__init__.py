"""Experiments: the commands, and the rooms that they call."""
