// One attention on the GPU: both kernels, and their launches in the order of `plugins/README.md`.
#pragma once

#include <cstddef>

#include "attention_spec.h"
#include "cuda_driver.h"
#include "kernel_images.h"
#include "launch.h"

namespace pegasus {

struct AttentionKernels {
    const KernelImage* attend_image = nullptr;
    const KernelImage* combine_image = nullptr;
    CUfunction attend = nullptr;
    CUfunction combine = nullptr;
    int32_t num_sms = 0;
};

struct AttentionSizes {
    int64_t batch = 0;      // B
    int64_t length = 0;     // S
    int64_t head_dim = 0;   // Dh
    int64_t plan_rows = 0;  // L' / H; 0 without a plan
    bool has_plan = false;
};

// Device memory. plan: null without one. partial: the workspace; null if nothing is split.
struct AttentionBuffers {
    const void* query = nullptr;
    const void* key = nullptr;
    const void* value = nullptr;
    const void* key_mask = nullptr;
    const void* plan = nullptr;
    void* output = nullptr;
    void* partial = nullptr;
};

// For the GPU whose context is current. Throws PluginError.
AttentionKernels load_attention_kernels(const KernelVariant& variant);

// workspace_rows: what the workspace was measured for; see `workspace_limit`.
Launch plan_attention(const AttentionKernels& kernels, const AttentionSpec& spec,
                      const AttentionSizes& sizes, int64_t workspace_rows);

// Puts the kernels into a stream. Throws PluginError.
void launch_attention(const AttentionKernels& kernels, const AttentionSpec& spec,
                      const AttentionSizes& sizes, const Launch& launch,
                      const AttentionBuffers& buffers, CUstream stream);

}  // namespace pegasus
