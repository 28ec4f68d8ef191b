"""Documents over a bundle's limit: cut into windows, and their summaries joined."""
