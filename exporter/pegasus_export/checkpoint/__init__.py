"""What is read from a checkpoint: files, configuration, weights."""
