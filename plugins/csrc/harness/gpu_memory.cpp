#include "gpu_memory.h"

#include <dlfcn.h>

#include <algorithm>
#include <string>

namespace pegasus::harness {

// The names are the driver's own, which cuda.h hides behind others.
struct GpuMemory::Driver {
    CUresult (*init)(unsigned int);
    CUresult (*device)(CUdevice*, int);
    CUresult (*retain_context)(CUcontext*, CUdevice);
    CUresult (*set_context)(CUcontext);
    CUresult (*allocate)(CUdeviceptr*, size_t);
    CUresult (*release)(CUdeviceptr);
    CUresult (*copy_in)(CUdeviceptr, const void*, size_t);
    CUresult (*copy_out)(void*, CUdeviceptr, size_t);
    CUresult (*make_stream)(CUstream*, unsigned int);
    CUresult (*make_event)(CUevent*, unsigned int);
    CUresult (*record)(CUevent, CUstream);
    CUresult (*wait)(CUevent);
    CUresult (*elapsed)(float*, CUevent, CUevent);

    Driver() {
        void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
        if (library == nullptr) {
            throw NoGpu("there is no CUDA driver (libcuda.so.1)");
        }
        const auto find = [&](const char* name, auto& function) {
            function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(library, name));
            if (function == nullptr) {
                throw NoGpu(std::string("the CUDA driver has no function ") + name);
            }
        };
        find("cuInit", init);
        find("cuDeviceGet", device);
        find("cuDevicePrimaryCtxRetain", retain_context);
        find("cuCtxSetCurrent", set_context);
        find("cuMemAlloc_v2", allocate);
        find("cuMemFree_v2", release);
        find("cuMemcpyHtoD_v2", copy_in);
        find("cuMemcpyDtoH_v2", copy_out);
        find("cuStreamCreate", make_stream);
        find("cuEventCreate", make_event);
        find("cuEventRecord", record);
        find("cuEventSynchronize", wait);
        find("cuEventElapsedTime", elapsed);
    }

    static const Driver& get() {
        static const Driver driver;
        return driver;
    }
};

GpuMemory::GpuMemory() : driver_(Driver::get()) {
    CUdevice device = 0;
    CUcontext context = nullptr;
    if (driver_.init(0) != CUDA_SUCCESS || driver_.device(&device, 0) != CUDA_SUCCESS) {
        throw NoGpu("the CUDA driver finds no GPU");
    }
    check(driver_.retain_context(&context, device), "making a context");
    check(driver_.set_context(context), "making the context current");
    check(driver_.make_stream(&stream_, CU_STREAM_NON_BLOCKING), "making a stream");
    check(driver_.make_event(&start_, CU_EVENT_DEFAULT), "making an event");
    check(driver_.make_event(&stop_, CU_EVENT_DEFAULT), "making an event");
}

// The context goes with the process, and the stream and the events with it.
GpuMemory::~GpuMemory() {
    for (const CUdeviceptr allocation : allocations_) {
        driver_.release(allocation);
    }
}

void* GpuMemory::allocate(size_t num_bytes) {
    CUdeviceptr memory = 0;
    check(driver_.allocate(&memory, std::max<size_t>(num_bytes, 1)), "allocating memory");
    allocations_.push_back(memory);
    return reinterpret_cast<void*>(memory);
}

void* GpuMemory::copy_in(const Bytes& bytes) {
    void* memory = allocate(bytes.size());
    check(driver_.copy_in(reinterpret_cast<CUdeviceptr>(memory), bytes.data(), bytes.size()),
          "copying to the GPU");
    return memory;
}

Bytes GpuMemory::copy_out(const void* memory, size_t num_bytes) {
    Bytes bytes(num_bytes);
    check(driver_.copy_out(bytes.data(), reinterpret_cast<CUdeviceptr>(memory), num_bytes),
          "copying from the GPU");
    return bytes;
}

void GpuMemory::start_watch() { check(driver_.record(start_, stream_), "recording an event"); }

float GpuMemory::stop_watch_ms() {
    float elapsed_ms = 0.0F;
    check(driver_.record(stop_, stream_), "recording an event");
    check(driver_.wait(stop_), "running the kernels");
    check(driver_.elapsed(&elapsed_ms, start_, stop_), "timing");
    return elapsed_ms;
}

void GpuMemory::check(CUresult result, const char* doing) const {
    if (result != CUDA_SUCCESS) {
        throw std::runtime_error(std::string(doing) + " failed: CUDA error " +
                                 std::to_string(static_cast<int>(result)));
    }
}

}  // namespace pegasus::harness
