"""NVIDIA's libraries, for builds and for runs: TensorRT, CUDA's runtime, the driver."""
