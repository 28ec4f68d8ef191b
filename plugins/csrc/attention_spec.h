// What the operator is told: its attributes. The same as `pegasus_plugins/specification.py`.
//
// Dimensions everywhere in this folder: B batch, H heads, S source, Dh head dim, b block size,
// N = ceil(S / b) blocks, r random blocks. Plain C++: nothing of TensorRT or CUDA.
#pragma once

#include <cstdint>

namespace pegasus {

inline constexpr const char* plugin_namespace = "pegasus";
inline constexpr const char* plugin_name = "BlockSparseAttention";
inline constexpr const char* plugin_version = "1";

struct AttentionSpec {
    int32_t num_heads = 0;          // H
    int32_t block_size = 0;         // b
    int32_t num_random_blocks = 0;  // r
    int32_t longest_full = 0;       // sources of up to so many tokens are attended to in full
    float scale = 0.0F;             // of the scores

    // N: the last block may be shorter than the others.
    constexpr int64_t num_blocks(int64_t length) const noexcept {
        return (length + block_size - 1) / block_size;
    }

    // Whether every query of a source of so many tokens sees every key.
    constexpr bool is_full(int64_t length) const noexcept { return length <= longest_full; }
};

// Throws PluginError for attributes that the operator does not take.
void check_spec(const AttentionSpec& spec);

// Throws PluginError for a Dh that no kernel is compiled for.
void check_head_dim(int64_t head_dim);

}  // namespace pegasus
