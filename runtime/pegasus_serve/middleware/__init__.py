"""What every request goes through: bounds, tokens, and an answer whatever goes wrong."""
