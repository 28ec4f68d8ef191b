"""What parity is tried with; apart from what makes it, which takes seconds to import."""

__all__ = ["MODELS", "TARGETS"]

TARGETS = ("ort", "trt", "trt-rtx")
MODELS = {
    "pegasus": "PegasusForConditionalGeneration",
    "bigbird": "BigBirdPegasusForConditionalGeneration",
    "pegasus_x": "PegasusXForConditionalGeneration",
}
