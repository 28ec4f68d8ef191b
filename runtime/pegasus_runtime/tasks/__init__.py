"""What an application opens: a bundle loaded for one task."""
