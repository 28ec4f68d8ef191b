"""Text -> token ids and back: what every task calls, and the vocabularies below it."""
