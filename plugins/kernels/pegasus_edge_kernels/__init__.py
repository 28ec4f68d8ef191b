"""Kernels of pegasus-edge for CPUs: a library of custom operators for ONNX Runtime.

pegasus_runtime finds it by itself. In a session of your own:

>>> options = onnxruntime.SessionOptions()                     # doctest: +SKIP
>>> options.register_custom_ops_library(str(pegasus_edge_kernels.LIBRARY))  # doctest: +SKIP
"""

import sys
from pathlib import Path

__all__ = ["ABI", "LIBRARY", "__version__"]

__version__ = "0.1.0"

ABI = 1
"""What operators mean, to the graphs that call them and to who binds their arrays; the same number
in runtime/pegasus_runtime/native/kernels.py."""

_NAMES = {"win32": "pegasus_edge_kernels.dll", "darwin": "libpegasus_edge_kernels.dylib"}

LIBRARY = Path(__file__).parent / _NAMES.get(sys.platform, "libpegasus_edge_kernels.so")
"""The shared library, for one operating system and processor family; needs no ONNX Runtime to
load, and no C++ library."""
