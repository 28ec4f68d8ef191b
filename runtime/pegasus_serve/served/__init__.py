"""What is served: models, each with a queue of its own."""
