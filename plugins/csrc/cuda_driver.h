// The CUDA driver, taken at run time: so the library links to nothing of CUDA, loads on machines
// that build for others, and one build serves every driver.
#pragma once

#include <cuda.h>

#include <optional>

#include "kernel_images.h"

namespace pegasus {

struct Gpu {
    Capability capability;
    int32_t num_sms = 0;      // multiprocessors
    uint64_t context_id = 0;  // of the CUDA context that is current
};

// Function pointers of our own types: cuda.h renames some functions from one version to the next,
// and the plain names are what every driver has.
struct CudaDriver {
    CUresult (*init)(unsigned int);
    CUresult (*version)(int*);
    CUresult (*device_count)(int*);
    CUresult (*device)(CUdevice*, int);
    CUresult (*device_attribute)(int*, CUdevice_attribute, CUdevice);
    CUresult (*current_context)(CUcontext*);
    CUresult (*context_device)(CUdevice*);
    CUresult (*context_id)(CUcontext, unsigned long long*);  // null before CUDA 12
    CUresult (*load_module)(CUmodule*, const void*);
    CUresult (*module_function)(CUfunction*, CUmodule, const char*);
    CUresult (*set_function_attribute)(CUfunction, CUfunction_attribute, int);
    CUresult (*launch_kernel)(CUfunction, unsigned int, unsigned int, unsigned int, unsigned int,
                              unsigned int, unsigned int, unsigned int, CUstream, void**, void**);
    CUresult (*error_string)(CUresult, const char**);

    // Throws PluginError if a call failed; doing: what it was for.
    void check(CUresult result, const char* doing) const;
};

// Throws PluginError if there is no driver.
const CudaDriver& cuda_driver();

// Whether a GPU is there whose context is current: builds may run without one.
bool has_current_gpu() noexcept;

// The GPU whose context is current. Throws PluginError.
Gpu current_gpu();

// Multiprocessors of the machine's largest GPU, or nothing where there is none.
std::optional<int32_t> most_multiprocessors() noexcept;

}  // namespace pegasus
