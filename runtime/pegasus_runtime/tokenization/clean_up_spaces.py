"""What transformers' clean_up_tokenization_spaces replaces."""

__all__ = ["TIGHT"]

TIGHT = (
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)
"""In its order, each in all of the text."""
