"""From label maps to counts to metrics, without torch."""
