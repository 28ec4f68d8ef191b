"""The version of pegasus-edge, all four packages of it: pyproject.toml reads it here.

A constant, as a program that was frozen (PyInstaller, say) may have no metadata to look it up in.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
