"""From many trials to conclusions."""
