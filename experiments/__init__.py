"""The commands: compare (main), run (one trial), score, report; and what they share."""
