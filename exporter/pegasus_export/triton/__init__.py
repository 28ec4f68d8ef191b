"""A model repository of NVIDIA Triton around a bundle: configuration, backend, how to run it."""
