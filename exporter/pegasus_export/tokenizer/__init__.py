"""What a checkpoint folder has for a tokenizer, as transformers 5.23 reads it, for a bundle."""
