#include "kernel_loader.h"

#include <map>
#include <mutex>
#include <utility>

#include "plugin_error.h"

namespace pegasus {
namespace {

// A launch may ask for more dynamic shared memory than this only if the kernel was told so before.
constexpr int32_t default_shared_bytes = 48 * 1024;

CUfunction load(const KernelImage& image) {
    const CudaDriver& driver = cuda_driver();
    CUmodule module = nullptr;
    driver.check(driver.load_module(&module, image.code), "loading a kernel");
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
