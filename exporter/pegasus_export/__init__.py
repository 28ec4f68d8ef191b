"""Checkpoint to ONNX graphs to bundle."""
