"""Block-sparse attention as one kernel, and three ways to bring it into TensorRT.

- specification.py, reference.py   what `pegasus::BlockSparseAttention` is, in words and in NumPy
- kernel.py, tuning.py, launch.py  the kernels, how they are cut, and how many programs run
- compile_kernels.py, ptx.py       for GPUs that need not be there, into a kernel file
- kernel_file.py                   that file, in which a launcher finds its image
- driver.py, cuda_calls.py         launches through CUDA's driver; run_kernels.py, through torch
- python_plugin.py, aot_plugin.py  TensorRT's plugin in Python, and inside the engine; csrc/, in C++
- ways.py                          which of these is used

See `plugins/README.md`.
"""
