"""What parity is tried with; apart from what makes it, which takes seconds to import."""

__all__ = ["CAUSAL", "MODELS", "TARGETS"]

TARGETS = ("ort", "trt", "trt-rtx")
MODELS = {
    "pegasus": "PegasusForConditionalGeneration",
    "bigbird": "BigBirdPegasusForConditionalGeneration",
    "causal": "PegasusForCausalLM",
    "bigbird-causal": "BigBirdPegasusForCausalLM",
}
CAUSAL = ("causal", "bigbird-causal")
"""Decoders alone, of target ort."""
