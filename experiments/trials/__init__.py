"""What is run, and what it leaves on disk."""
