"""Plans of TensorRT and TensorRT for RTX."""
