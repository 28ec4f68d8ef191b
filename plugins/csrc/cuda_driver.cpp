#include "cuda_driver.h"

#include <dlfcn.h>

#include <algorithm>
#include <string>

#include "plugin_error.h"

namespace pegasus {
namespace {

constexpr const char* library_name = "libcuda.so.1";

struct Loaded {
    CudaDriver driver{};
    std::string problem;  // empty: none
};

template <typename Function>
void resolve(void* library, const char* name, Function& function, std::string& problem) {
    function = reinterpret_cast<Function>(dlsym(library, name));
    if (function == nullptr && problem.empty()) {
        problem = std::string(library_name) + " has no function " + name + ": update the driver";
    }
}

Loaded load_driver() {
    Loaded loaded;
    // Never closed: the CUDA runtime, which TensorRT uses, holds the same library.
    void* library = dlopen(library_name, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        const char* reason = dlerror();
        loaded.problem = std::string("there is no CUDA driver: ") +
                         (reason != nullptr ? reason : library_name);
        return loaded;
    }
    CudaDriver& driver = loaded.driver;
    std::string& problem = loaded.problem;
    resolve(library, "cuInit", driver.init, problem);
    resolve(library, "cuDriverGetVersion", driver.version, problem);
    resolve(library, "cuDeviceGetCount", driver.device_count, problem);
    resolve(library, "cuDeviceGet", driver.device, problem);
    resolve(library, "cuDeviceGetAttribute", driver.device_attribute, problem);
    resolve(library, "cuCtxGetCurrent", driver.current_context, problem);
    resolve(library, "cuCtxGetDevice", driver.context_device, problem);
    resolve(library, "cuModuleLoadData", driver.load_module, problem);
    resolve(library, "cuModuleGetFunction", driver.module_function, problem);
    resolve(library, "cuFuncSetAttribute", driver.set_function_attribute, problem);
    resolve(library, "cuLaunchKernel", driver.launch_kernel, problem);
    resolve(library, "cuGetErrorString", driver.error_string, problem);
    std::string may_be_missing;
    resolve(library, "cuCtxGetId", driver.context_id, may_be_missing);
    return loaded;
}

const Loaded& loaded_driver() {
    static const Loaded loaded = load_driver();
    return loaded;
}

int32_t attribute(const CudaDriver& driver, CUdevice device, CUdevice_attribute name) {
    int value = 0;
    driver.check(driver.device_attribute(&value, name, device), "asking the GPU what it is");
    return value;
}

// Unlike its address, the number of a context is never given again.
uint64_t id_of(const CudaDriver& driver, CUcontext context) {
    if (driver.context_id == nullptr) {
        return reinterpret_cast<uintptr_t>(context);
    }
    unsigned long long id = 0;
    driver.check(driver.context_id(context, &id), "asking for the number of the CUDA context");
    return id;
}

}  // namespace

void CudaDriver::check(CUresult result, const char* doing) const {
    if (result == CUDA_SUCCESS) {
        return;
    }
    const char* text = nullptr;
    if (error_string(result, &text) != CUDA_SUCCESS || text == nullptr) {
        text = "unknown";
    }
    throw PluginError(std::string(doing) + " failed: CUDA error " +
                      std::to_string(static_cast<int>(result)) + ", " + text);
}

const CudaDriver& cuda_driver() {
    const Loaded& loaded = loaded_driver();
    if (!loaded.problem.empty()) {
        throw PluginError(loaded.problem);
    }
    return loaded.driver;
}

bool has_current_gpu() noexcept {
    try {
        const CudaDriver& driver = cuda_driver();
        CUcontext context = nullptr;
        return driver.current_context(&context) == CUDA_SUCCESS && context != nullptr;
    } catch (const std::exception&) {
        return false;
    }
}

Gpu current_gpu() {
    const CudaDriver& driver = cuda_driver();
    CUcontext context = nullptr;
    driver.check(driver.current_context(&context), "asking for the CUDA context");
    if (context == nullptr) {
        throw PluginError("no CUDA context is current in this thread, expected TensorRT's");
    }
    CUdevice device = 0;
    driver.check(driver.context_device(&device), "asking for the GPU of the CUDA context");
    Gpu gpu;
    gpu.capability.major =
        attribute(driver, device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
    gpu.capability.minor =
        attribute(driver, device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
    gpu.num_sms = attribute(driver, device, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
    gpu.context_id = id_of(driver, context);
    return gpu;
}

std::optional<int32_t> most_multiprocessors() noexcept {
    try {
        const CudaDriver& driver = cuda_driver();
        driver.check(driver.init(0), "starting the CUDA driver");
        int count = 0;
        driver.check(driver.device_count(&count), "counting the GPUs");
        int32_t most = 0;
        for (int i = 0; i < count; ++i) {
            CUdevice device = 0;
            driver.check(driver.device(&device, i), "asking for a GPU");
            most = std::max(most,
                            attribute(driver, device, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT));
        }
        return most > 0 ? std::optional<int32_t>(most) : std::nullopt;
    } catch (const std::exception&) {
        return std::nullopt;  // a build without a GPU: the caller then takes a bound for all
    }
}

}  // namespace pegasus
