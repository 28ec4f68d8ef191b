// The compiled kernels inside the library, and which of them a GPU runs.
//
// The choice is that of `KernelFile.find` in `pegasus_plugins/kernel_file.py`; a test holds the two
// against each other. Plain C++: nothing of TensorRT or CUDA.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pegasus {

inline constexpr std::string_view attend_kernel = "attend_blocks";
inline constexpr std::string_view combine_kernel = "combine_splits";

// What a kernel is compiled for.
struct KernelVariant {
    std::string_view dtype;  // float16, bfloat16 or float32
    int32_t head_dim = 0;
    int32_t block_size = 0;
    int32_t plan_columns = 0;  // r of the plan; 0 without one
};

struct Capability {
    int32_t major = 0;
    int32_t minor = 0;
};

struct KernelImage {
    std::string_view kernel;  // the name of its entry, too; ends in a zero
    KernelVariant variant;
    Capability capability;
    bool is_ptx;           // which a driver compiles for later GPUs, or a cubin for this one
    int32_t tile_rows;     // of queries that a program computes
    int32_t num_warps;     // a block has 32 times as many threads
    int32_t shared_bytes;  // dynamic shared memory of a block
    int32_t least_driver;  // its CUDA version, 12080 for 12.8; 0: not known
    int32_t programs_per_sm;  // how many a multiprocessor runs at once, about
    const void* code;      // ends in a zero, as the driver wants of PTX
};

struct KernelTable {
    const KernelImage* images = nullptr;
    size_t count = 0;

    const KernelImage* begin() const noexcept { return images; }
    const KernelImage* end() const noexcept { return images + count; }
};

// Those compiled into the library: `pegasus_plugins.embed_kernels` writes this function.
KernelTable embedded_kernels() noexcept;

// The image that a GPU runs: its own, else that of an older one, else PTX; null if there is none.
const KernelImage* find_image(const KernelTable& table, std::string_view kernel,
                              const KernelVariant& variant, Capability capability) noexcept;

// The same, but throws PluginError, which says what is missing and how to compile it.
const KernelImage& require_image(const KernelTable& table, std::string_view kernel,
                                 const KernelVariant& variant, Capability capability);

// Throws PluginError if no GPU at all has both kernels of a variant.
void require_variant(const KernelTable& table, const KernelVariant& variant);

// The largest tile_rows among images of a block size; the block size itself if there is none.
int32_t largest_tile_rows(const KernelTable& table, int32_t block_size) noexcept;

}  // namespace pegasus
