"""transformers' pipelines, by their own arguments and answers, for what is loaded here."""
