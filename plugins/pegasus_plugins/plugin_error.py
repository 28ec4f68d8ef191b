"""What goes wrong between the operator and TensorRT or CUDA; wrong attributes are
SpecificationError, and missing kernels KernelFileError."""

__all__ = ["PluginError"]


class PluginError(RuntimeError):
    """The operator cannot be brought into TensorRT, or cannot run on this GPU."""
