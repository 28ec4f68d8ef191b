"""ONNX Runtime on the CPU, over caches that it shares with us: target `ort`."""
