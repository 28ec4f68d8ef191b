"""Names of a network's weights, by what they are: those of Hugging Face's PEGASUS.

Graphs have them as initialisers, and the weights file under the same names.
"""

__all__ = [
    "DECODER_POSITIONS",
    "ENCODER_POSITIONS",
    "FINAL_BIAS",
    "GLOBAL_TOKENS",
    "POSITIONS",
    "TOKEN_TABLES",
    "is_norm",
]

TOKEN_TABLES = (
    "model.shared.weight",
    "model.encoder.embed_tokens.weight",
    "model.decoder.embed_tokens.weight",
    "lm_head.weight",
)
"""Matrices with a row for each token: what embeds them, and the head; one for all if tied."""
ENCODER_POSITIONS = "model.encoder.embed_positions.weight"
DECODER_POSITIONS = "model.decoder.embed_positions.weight"
POSITIONS = (ENCODER_POSITIONS, DECODER_POSITIONS)
"""Matrices with a row for each place in a text."""
GLOBAL_TOKENS = "model.encoder.embed_global.weight"
"""A row for each global token of PEGASUS-X."""
FINAL_BIAS = "final_logits_bias"


def is_norm(name: str) -> bool:
    """Whether this is the weight of a LayerNorm."""
    return name.endswith("layer_norm.weight")
