"""Experiments: the commands, and the rooms that they call."""

__version__ = "0.2.0"  # results carry it; CHANGELOG.md says for each whether numbers changed
