"""What is asked for, and how its progress is told."""
