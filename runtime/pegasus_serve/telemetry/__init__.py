"""What an operator sees: a line for each request, and numbers."""
