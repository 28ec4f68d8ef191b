"""The paths, and what is done for each."""
