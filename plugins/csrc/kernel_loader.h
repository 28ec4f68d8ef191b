// Kernels in the memory of a GPU: each image is loaded once per CUDA context and process.
#pragma once

#include "cuda_driver.h"
#include "kernel_images.h"

namespace pegasus {

// The function of an image in the context that is current, which is the GPU's. Any thread may call.
// Throws PluginError. Not for streams that are being captured: loading may allocate.
CUfunction load_kernel(const KernelImage& image, const Gpu& gpu);

}  // namespace pegasus
