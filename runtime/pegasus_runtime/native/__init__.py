"""Native libraries, for builds and for runs: ONNX Runtime, TensorRT, CUDA's runtime, the driver."""
