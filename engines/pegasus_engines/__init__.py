"""ONNX graphs to engines: precision recipes and builders, without torch."""
