"""ONNX graphs to engines: precision recipes and builders, without torch."""

from pegasus_runtime.version import __version__

__all__ = ["__version__"]
