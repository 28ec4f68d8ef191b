"""The device that is a GPU, and ONNX Runtime on it."""
