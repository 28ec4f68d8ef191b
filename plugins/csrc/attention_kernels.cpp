#include "attention_kernels.h"

#include <array>
#include <cmath>
#include <limits>
#include <string>

#include "kernel_loader.h"
#include "plugin_error.h"

namespace pegasus {
namespace {

// The driver reads as many arguments as a kernel has, each through a pointer to its value.
template <size_t Capacity>
class Arguments {
public:
    template <typename Value>
    void add(Value& value) {
        pointers_.at(size_++) = &value;
    }

    void** data() { return pointers_.data(); }

private:
    std::array<void*, Capacity> pointers_{};
    size_t size_ = 0;
};

unsigned int grid_size(int64_t num_programs) {
    if (num_programs > std::numeric_limits<int32_t>::max()) {
        throw PluginError("the attention needs " + std::to_string(num_programs) +
                          " programs, a GPU takes 2147483647 at once: use a smaller batch");
    }
    return static_cast<unsigned int>(num_programs);
}

void launch_kernel(const KernelImage& image, CUfunction function, int64_t num_programs,
                   void** arguments, CUstream stream) {
    const CudaDriver& driver = cuda_driver();
    const auto num_threads = static_cast<unsigned int>(32 * image.num_warps);
    driver.check(driver.launch_kernel(function, grid_size(num_programs), 1, 1, num_threads, 1, 1,
                                      static_cast<unsigned int>(image.shared_bytes), stream,
                                      arguments, nullptr),
                 image.kernel.data());
}

void launch_attend(const AttentionKernels& kernels, const AttentionSpec& spec,
                   const AttentionSizes& sizes, const Launch& launch, AttentionBuffers buffers,
                   CUstream stream) {
    auto length = static_cast<int32_t>(sizes.length);
    auto plan_rows = static_cast<int32_t>(sizes.plan_rows);
    auto num_splits = static_cast<int32_t>(launch.num_splits);
    int32_t num_heads = spec.num_heads;
    int32_t longest_full = spec.longest_full;
    float scale = spec.scale;
    // Without a plan, all r random blocks are block 0: its keys count 1 + r times.
    const double times_seen = sizes.has_plan ? 1.0 : 1.0 + spec.num_random_blocks;
    auto first_bias = static_cast<float>(std::log(times_seen));
    Arguments<14> arguments;
    arguments.add(buffers.query);
    arguments.add(buffers.key);
    arguments.add(buffers.value);
    arguments.add(buffers.key_mask);
    if (sizes.has_plan) {
        arguments.add(buffers.plan);
    }
    arguments.add(length);
    arguments.add(num_heads);
    arguments.add(longest_full);
    arguments.add(plan_rows);
    arguments.add(num_splits);
    arguments.add(scale);
    arguments.add(first_bias);
    arguments.add(buffers.output);
    arguments.add(buffers.partial);
    launch_kernel(*kernels.attend_image, kernels.attend, launch.num_programs, arguments.data(),
                  stream);
}

void launch_combine(const AttentionKernels& kernels, const AttentionSpec& spec,
                    const AttentionSizes& sizes, const Launch& launch, AttentionBuffers buffers,
                    CUstream stream) {
    auto length = static_cast<int32_t>(sizes.length);
    auto num_splits = static_cast<int32_t>(launch.num_splits);
    int32_t num_heads = spec.num_heads;
    Arguments<6> arguments;
    arguments.add(buffers.partial);
    arguments.add(buffers.key_mask);
    arguments.add(length);
    arguments.add(num_heads);
    arguments.add(num_splits);
    arguments.add(buffers.output);
    launch_kernel(*kernels.combine_image, kernels.combine, launch.combine_programs,
                  arguments.data(), stream);
}

}  // namespace

AttentionKernels load_attention_kernels(const KernelVariant& variant) {
    const Gpu gpu = current_gpu();
    const KernelTable table = embedded_kernels();
    AttentionKernels kernels;
    kernels.attend_image = &require_image(table, attend_kernel, variant, gpu.capability);
    kernels.combine_image = &require_image(table, combine_kernel, variant, gpu.capability);
    if (kernels.attend_image->tile_rows != kernels.combine_image->tile_rows) {
        throw PluginError("the two kernels for " + std::string(variant.dtype) +
                          " compute tiles of different sizes: compile both anew");
    }
    kernels.attend = load_kernel(*kernels.attend_image, gpu);
    kernels.combine = load_kernel(*kernels.combine_image, gpu);
    kernels.num_sms = gpu.num_sms;
    return kernels;
}

Launch plan_attention(const AttentionKernels& kernels, const AttentionSpec& spec,
                      const AttentionSizes& sizes, int64_t workspace_rows) {
    LaunchRequest request;
    request.batch = sizes.batch;
    request.length = sizes.length;
    request.head_dim = sizes.head_dim;
    request.tile_rows = kernels.attend_image->tile_rows;
    // An engine may run on a larger GPU than it was built on, whose workspace it then has: fewer
    // splits fit into it, and the result is the same.
    request.num_sms =
        std::min<int64_t>(kernels.num_sms, workspace_rows / request.tile_rows);
    request.programs_per_sm = kernels.attend_image->programs_per_sm;
    return plan_launch(spec, request);
}

void launch_attention(const AttentionKernels& kernels, const AttentionSpec& spec,
                      const AttentionSizes& sizes, const Launch& launch,
                      const AttentionBuffers& buffers, CUstream stream) {
    if (launch.num_programs == 0) {
        return;  // an empty batch or source
    }
    if (launch.workspace_bytes > 0 && buffers.partial == nullptr) {
        throw PluginError("there is no workspace, expected " +
                          std::to_string(launch.workspace_bytes) + " bytes");
    }
    launch_attend(kernels, spec, sizes, launch, buffers, stream);
    if (launch.combine_programs > 0) {
        launch_combine(kernels, spec, sizes, launch, buffers, stream);
    }
}

}  // namespace pegasus
