// GPU 0 through the CUDA driver, taken at run time: memory, a stream and a stopwatch.
#pragma once

#include <cuda.h>

#include <stdexcept>
#include <vector>

namespace pegasus::harness {

// There is no GPU, or no driver for it.
class NoGpu : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

using Bytes = std::vector<unsigned char>;

class GpuMemory {
public:
    // Makes the primary context of GPU 0 current. Throws NoGpu.
    GpuMemory();
    GpuMemory(const GpuMemory&) = delete;
    GpuMemory& operator=(const GpuMemory&) = delete;
    ~GpuMemory();

    // Each throws std::runtime_error if the driver refuses.
    void* allocate(size_t num_bytes);
    void* copy_in(const Bytes& bytes);
    Bytes copy_out(const void* memory, size_t num_bytes);
    CUstream stream() const { return stream_; }
    void start_watch();
    float stop_watch_ms();

private:
    struct Driver;
    void check(CUresult result, const char* doing) const;

    const Driver& driver_;
    CUstream stream_ = nullptr;
    CUevent start_ = nullptr;
    CUevent stop_ = nullptr;
    std::vector<CUdeviceptr> allocations_;
};

}  // namespace pegasus::harness
