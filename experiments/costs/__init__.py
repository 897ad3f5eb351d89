"""What networks cost: operations, seconds, widths."""
