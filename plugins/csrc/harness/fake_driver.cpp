// A CUDA driver for machines without a GPU: tests load it as libcuda.so.1. It computes nothing; it
// writes to stderr, as a line of JSON each, which kernels are launched, and with what.
//
// An "image" is text: a letter for each argument of its kernel, p pointer, i int32, f float32.
// Device memory is numbers 4096, 8192, ... in the order of allocation. PEGASUS_FAKE_FAILURE names a
// function that fails.

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <utility>

namespace {

constexpr int success = 0;
constexpr int not_found = 500;      // CUDA_ERROR_NOT_FOUND
constexpr int unsupported_ptx = 222;  // CUDA_ERROR_UNSUPPORTED_PTX_VERSION
constexpr int multiprocessors = 16, capability_major = 75, capability_minor = 76;
int64_t context;
bool is_current = false;
uint64_t num_allocations = 0;

int outcome(const char* function) {
    const char* failing = std::getenv("PEGASUS_FAKE_FAILURE");
    return failing != nullptr && std::strcmp(failing, function) == 0 ? not_found : success;
}

struct Kernel {
    std::string name;
    std::string signature;
};

std::string text_of(char kind, const void* argument) {
    char text[32] = "";
    if (kind == 'p') {
        std::snprintf(text, sizeof text, "%" PRIu64, *static_cast<const uint64_t*>(argument));
    } else if (kind == 'i') {
        std::snprintf(text, sizeof text, "%" PRId32, *static_cast<const int32_t*>(argument));
    } else {
        std::snprintf(text, sizeof text, "%.9g",
                      static_cast<double>(*static_cast<const float*>(argument)));
    }
    return text;
}

}  // namespace

#define PEGASUS_DRIVER extern "C" __attribute__((visibility("default"))) int

PEGASUS_DRIVER cuInit(unsigned int) { return outcome("cuInit"); }

PEGASUS_DRIVER cuDriverGetVersion(int* version) {
    *version = 12060;
    return success;
}

PEGASUS_DRIVER cuDeviceGetCount(int* count) {
    *count = 1;
    return success;
}

PEGASUS_DRIVER cuDeviceGet(int* device, int) {
    *device = 0;
    return success;
}

PEGASUS_DRIVER cuDeviceGetAttribute(int* value, int attribute, int) {
    // Of an Orin: 8.7.
    *value = attribute == multiprocessors    ? 16
             : attribute == capability_major ? 8
             : attribute == capability_minor ? 7
                                             : 0;
    return success;
}

PEGASUS_DRIVER cuDevicePrimaryCtxRetain(void** made, int) {
    *made = &context;
    return success;
}

PEGASUS_DRIVER cuCtxSetCurrent(void*) {
    is_current = true;
    return success;
}

PEGASUS_DRIVER cuCtxGetCurrent(void** current) {
    *current = is_current ? &context : nullptr;
    return success;
}

PEGASUS_DRIVER cuCtxGetDevice(int* device) { return cuDeviceGet(device, 0); }

PEGASUS_DRIVER cuModuleLoadData(const void** module, const void* image) {
    std::fprintf(stderr, "{\"loaded\": \"%s\"}\n", static_cast<const char*>(image));
    *module = image;
    const char* refused = std::getenv("PEGASUS_FAKE_REFUSED_IMAGE");
    return refused != nullptr ? unsupported_ptx : outcome("cuModuleLoadData");
}

PEGASUS_DRIVER cuModuleGetFunction(const void** function, const void* module, const char* name) {
    static std::map<std::pair<const void*, std::string>, Kernel> kernels;
    Kernel& kernel = kernels[{module, name}];
    kernel = {name, static_cast<const char*>(module)};
    *function = &kernel;
    return outcome("cuModuleGetFunction");
}

PEGASUS_DRIVER cuFuncSetAttribute(const void* function, int, int value) {
    std::fprintf(stderr, "{\"kernel\": \"%s\", \"may_share\": %d}\n",
                 static_cast<const Kernel*>(function)->name.c_str(), value);
    return outcome("cuFuncSetAttribute");
}

PEGASUS_DRIVER cuLaunchKernel(const void* function, unsigned int grid, unsigned int grid_y,
                              unsigned int grid_z, unsigned int threads, unsigned int threads_y,
                              unsigned int threads_z, unsigned int shared_bytes, void*,
                              void** arguments, void**) {
    const auto* kernel = static_cast<const Kernel*>(function);
    std::string listed;
    for (size_t i = 0; i < kernel->signature.size(); ++i) {
        listed += (i == 0 ? "" : ", ") + text_of(kernel->signature[i], arguments[i]);
    }
    const bool is_flat = grid_y * grid_z * threads_y * threads_z == 1;
    std::fprintf(stderr,
                 "{\"launched\": \"%s\", \"grid\": %u, \"threads\": %u, \"shared_bytes\": %u, "
                 "\"arguments\": [%s]}\n",
                 kernel->name.c_str(), is_flat ? grid : 0, threads, shared_bytes, listed.c_str());
    return outcome("cuLaunchKernel");
}

PEGASUS_DRIVER cuGetErrorString(int, const char** text) {
    *text = "as the test asked";
    return success;
}

PEGASUS_DRIVER cuMemAlloc_v2(uint64_t* memory, size_t) {
    *memory = 4096 * ++num_allocations;
    return success;
}

PEGASUS_DRIVER cuMemFree_v2(uint64_t) { return success; }

PEGASUS_DRIVER cuMemcpyHtoD_v2(uint64_t, const void*, size_t) { return success; }

PEGASUS_DRIVER cuMemcpyDtoH_v2(void* bytes, uint64_t, size_t count) {
    std::memset(bytes, 0, count);
    return success;
}

PEGASUS_DRIVER cuStreamCreate(void**, unsigned int) { return success; }

PEGASUS_DRIVER cuEventCreate(void**, unsigned int) { return success; }

PEGASUS_DRIVER cuEventRecord(void*, void*) { return success; }

PEGASUS_DRIVER cuEventSynchronize(void*) { return success; }

PEGASUS_DRIVER cuEventElapsedTime(float* elapsed_ms, void*, void*) {
    *elapsed_ms = 1.0F;
    return success;
}
