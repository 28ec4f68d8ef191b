"""Checkpoint to ONNX graphs to bundle."""

from pegasus_runtime.version import __version__

__all__ = ["__version__"]
