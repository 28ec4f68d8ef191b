#include "kernel_loader.h"

#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "plugin_error.h"

namespace pegasus {
namespace {

// A launch may ask for more dynamic shared memory than this only if the kernel was told so before.
constexpr int32_t default_shared_bytes = 48 * 1024;

// 12080 -> 12.8
std::string cuda_text(int32_t version) {
    return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

CUmodule load_module(const CudaDriver& driver, const KernelImage& image) {
    int has = 0;
    driver.check(driver.version(&has), "asking the driver for its version");
    const std::string what = std::string(image.is_ptx ? "the PTX of " : "the cubin of ") +
                             image.kernel.data() + " for compute capability " +
                             std::to_string(image.capability.major) + "." +
                             std::to_string(image.capability.minor);
    if (has < image.least_driver) {
        throw PluginError(what + " needs a driver of CUDA " + cuda_text(image.least_driver) +
                          ", this one is of CUDA " + cuda_text(has) + ": update the driver");
    }
    CUmodule module = nullptr;
    const CUresult result = driver.load_module(&module, image.code);
    if (result == CUDA_ERROR_INVALID_IMAGE || result == CUDA_ERROR_NO_BINARY_FOR_GPU ||
        result == CUDA_ERROR_UNSUPPORTED_PTX_VERSION) {
        throw PluginError("a driver of CUDA " + cuda_text(has) + " does not take " + what +
                          ": update it, or compile the kernels again with python -m "
                          "pegasus_plugins.compile_kernels, and build the library with them");
    }
    driver.check(result, "loading a kernel");
    return module;
}

CUfunction load(const KernelImage& image) {
    const CudaDriver& driver = cuda_driver();
    CUmodule module = load_module(driver, image);
    CUfunction function = nullptr;
    driver.check(driver.module_function(&function, module, image.kernel.data()),
                 "looking up a kernel");
    if (image.shared_bytes > default_shared_bytes) {
        driver.check(
            driver.set_function_attribute(
                function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, image.shared_bytes),
            "giving a kernel its shared memory");
    }
    return function;
}

}  // namespace

CUfunction load_kernel(const KernelImage& image, const Gpu& gpu) {
    // Modules are not unloaded: they go with their context. At the end of a process the driver may
    // be gone before this library is, and then no call to it is safe.
    static std::mutex mutex;
    static std::map<std::pair<uint64_t, const KernelImage*>, CUfunction> functions;
    const std::lock_guard<std::mutex> lock(mutex);
    const auto key = std::make_pair(gpu.context_id, &image);
    const auto found = functions.find(key);
    if (found != functions.end()) {
        return found->second;
    }
    CUfunction function = load(image);
    functions.emplace(key, function);
    return function;
}

}  // namespace pegasus
