"""What parity is tried with; apart from what makes it, which takes seconds to import."""

__all__ = ["CAUSAL", "MODELS", "TARGETS", "WHOLE_GRAPHS"]

WHOLE_GRAPHS = {"generate": "onnx", "generate-ort": "ort"}
"""generate.onnx instead of the runtime, and the target whose operators it has."""
TARGETS = ("ort", "trt", "trt-rtx", *WHOLE_GRAPHS)
MODELS = {
    "pegasus": "PegasusForConditionalGeneration",
    "bigbird": "BigBirdPegasusForConditionalGeneration",
    "causal": "PegasusForCausalLM",
    "bigbird-causal": "BigBirdPegasusForCausalLM",
    "pegasus_x": "PegasusXForConditionalGeneration",
}
CAUSAL = ("causal", "bigbird-causal")
"""Decoders alone, of target ort."""
