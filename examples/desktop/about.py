"""What is inside, of which version and under which licence."""

from __future__ import annotations

import sys

import pegasus_runtime

__all__ = ["PARTS", "about_text"]

PARTS = (
    ("PySide6", "Qt for Python", "LGPL-3.0"),
    ("onnxruntime", "ONNX Runtime", "MIT"),
    ("numpy", "NumPy", "BSD-3-Clause"),
    ("sentencepiece", "SentencePiece", "Apache-2.0"),
)


def about_text() -> str:
    """For a dialog. What no model has asked for yet is named without a version."""
    own = f"pegasus-edge {pegasus_runtime.__version__}, Apache-2.0, on:"
    parts = [f"{name}{_version(module)}, {licence}" for module, name, licence in PARTS]
    return "\n".join([own, "", *parts])


def _version(module: str) -> str:
    """Of a module that is loaded: a packaged program knows nothing else of its packages."""
    version = getattr(sys.modules.get(module), "__version__", None)
    return f" {version}" if version else ""
