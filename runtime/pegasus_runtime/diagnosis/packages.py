"""Versions of what is installed, of all that this package can work with."""

from importlib.metadata import PackageNotFoundError, version

from pegasus_runtime.diagnosis.finding import Finding

__all__ = ["find_packages", "version_of"]

_PACKAGES = (
    "numpy",
    "sentencepiece",
    "onnxruntime",
    "onnxruntime-gpu",
    "pegasus-edge-kernels",
    "tensorrt",
    "tensorrt-cu12",
    "tensorrt-cu13",
    "tensorrt-rtx-cu12",
    "tensorrt-rtx-cu13",
    "cuda-bindings",
    "triton",
    "torch",
    "onnx",
    "onnx-ir",
    "onnxscript",
    "safetensors",
    "huggingface-hub",
    "rich",
    "transformers",
)
_NEEDED = ("numpy", "sentencepiece")


def find_packages() -> list[Finding]:
    """Those that are installed, and those that must be."""
    found = []
    for name in _PACKAGES:
        installed = version_of(name)
        if installed:
            found.append(Finding(name=name, value=installed))
        elif name in _NEEDED:
            advice = f"pip install {name}"
            found.append(Finding(name=name, value="missing", is_fine=False, advice=advice))
    both = [name for name in ("onnxruntime", "onnxruntime-gpu") if version_of(name)]
    if len(both) > 1:
        found.append(
            Finding(
                name=" and ".join(both),
                value="both installed: they overwrite each other's files",
                is_fine=False,
                advice="pip uninstall both, and install the one",
            )
        )
    return found


def version_of(package: str) -> str:
    """ "" of what is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
