#include "attention_spec.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "plugin_error.h"

namespace pegasus {
namespace {

constexpr std::array<int64_t, 4> block_sizes{16, 32, 64, 128};
constexpr std::array<int64_t, 3> head_dims{32, 64, 128};

template <size_t Size>
bool contains(const std::array<int64_t, Size>& values, int64_t value) {
    return std::find(values.begin(), values.end(), value) != values.end();
}

template <size_t Size>
std::string listed(const std::array<int64_t, Size>& values) {
    std::string text;
    for (const int64_t value : values) {
        text += (text.empty() ? "" : ", ") + std::to_string(value);
    }
    return text;
}

void check_at_least(const char* name, int32_t value, int32_t least) {
    if (value < least) {
        throw PluginError(std::string(name) + " is " + std::to_string(value) +
                          ", expected at least " + std::to_string(least));
    }
}

}  // namespace

void check_spec(const AttentionSpec& spec) {
    check_at_least("num_heads", spec.num_heads, 1);
    if (!contains(block_sizes, spec.block_size)) {
        throw PluginError("block_size is " + std::to_string(spec.block_size) +
                          ", expected one of " + listed(block_sizes));
    }
    check_at_least("num_random_blocks", spec.num_random_blocks, 0);
    check_at_least("longest_full", spec.longest_full, 0);
    if (!std::isfinite(spec.scale) || spec.scale <= 0.0F) {
        throw PluginError("scale is " + std::to_string(spec.scale) +
                          ", expected a positive number");
    }
}

void check_head_dim(int64_t head_dim) {
    if (!contains(head_dims, head_dim)) {
        throw PluginError("head dim is " + std::to_string(head_dim) + ", expected one of " +
                          listed(head_dims));
    }
}

}  // namespace pegasus
