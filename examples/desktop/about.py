"""What is inside, of which version and under which licence."""

from __future__ import annotations

import pegasus_runtime

__all__ = ["PARTS", "about_text"]

PARTS = (
    ("PySide6_Essentials", "Qt for Python", "LGPL-3.0"),
    ("onnxruntime", "ONNX Runtime", "MIT"),
    ("numpy", "NumPy", "BSD-3-Clause"),
    ("sentencepiece", "SentencePiece", "Apache-2.0"),
)


def about_text() -> str:
    """For a dialog."""
    own = f"pegasus-edge {pegasus_runtime.__version__}, Apache-2.0, on:"
    parts = [f"{name} {_version(package)}, {licence}" for package, name, licence in PARTS]
    return "\n".join([own, "", *parts])


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version  # slow: when somebody asks

    try:
        return version(package)
    except PackageNotFoundError:
        return "(version unknown)"
