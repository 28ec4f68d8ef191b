#include "input_checks.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string>

#include "plugin_error.h"

namespace pegasus {
namespace {

using nvinfer1::DataType;
using nvinfer1::Dims;
using nvinfer1::PluginTensorDesc;

constexpr std::array<const char*, 5> input_names{"query", "key", "value", "key_mask", "plan"};
constexpr int64_t unknown = -1;

std::string text_of(const Dims& shape) {
    std::string text;
    for (int32_t i = 0; i < shape.nbDims; ++i) {
        text += (i == 0 ? "" : ", ") + std::to_string(shape.d[i]);
    }
    return "[" + text + "]";
}

[[noreturn]] void throw_shape(size_t input, const Dims& shape, const std::string& expected) {
    throw PluginError(std::string(input_names.at(input)) + " is " + text_of(shape) +
                      ", expected " + expected);
}

// Of two dimensions that have to be the same, the one that is known.
bool agree(int64_t& known, int64_t dimension) {
    if (known == unknown) {
        known = dimension;
    }
    return dimension == unknown || dimension == known;
}

void check_plan(const AttentionSpec& spec, const Dims& plan, AttentionSizes& sizes) {
    if (plan.nbDims != 2) {
        throw_shape(4, plan, "[rows, num_random_blocks]");
    }
    if (plan.d[1] != spec.num_random_blocks || plan.d[1] < 1) {
        throw_shape(4, plan, "num_random_blocks columns, " +
                                 std::to_string(spec.num_random_blocks) + ", and at least 1");
    }
    if (plan.d[0] == unknown) {
        sizes.plan_rows = unknown;
        return;
    }
    if (plan.d[0] % spec.num_heads != 0) {
        throw_shape(4, plan, "rows that are a multiple of num_heads, " +
                                 std::to_string(spec.num_heads));
    }
    sizes.plan_rows = plan.d[0] / spec.num_heads;
    const int64_t needed = spec.num_blocks(sizes.length) - 2;
    if (sizes.length != unknown && !spec.is_full(sizes.length) && sizes.plan_rows < needed) {
        throw_shape(4, plan, std::to_string(needed) + " rows per head for a source of " +
                                 std::to_string(sizes.length) + " tokens in blocks of " +
                                 std::to_string(spec.block_size));
    }
}

// Dense [B, H, S, Dh], all three of one shape.
void check_heads(const AttentionSpec& spec, const std::vector<PluginTensorDesc>& inputs,
                 AttentionSizes& sizes) {
    const Dims& query = inputs[0].dims;
    if (query.nbDims != 4) {
        throw_shape(0, query, "[B, H, S, Dh]");
    }
    if (query.d[1] != spec.num_heads) {
        throw_shape(0, query, "num_heads, " + std::to_string(spec.num_heads) +
                                  ", as its second dimension, which cannot be dynamic");
    }
    check_head_dim(query.d[3]);
    sizes.batch = query.d[0];
    sizes.length = query.d[2];
    sizes.head_dim = query.d[3];
    for (size_t i = 1; i < 3; ++i) {
        const Dims& shape = inputs[i].dims;
        if (shape.nbDims != 4 || shape.d[1] != query.d[1] || shape.d[3] != query.d[3] ||
            !agree(sizes.batch, shape.d[0]) || !agree(sizes.length, shape.d[2])) {
            throw_shape(i, shape, "the shape of query, " + text_of(query));
        }
    }
}

}  // namespace

void check_num_inputs(int32_t num_inputs) {
    if (num_inputs != 4 && num_inputs != 5) {
        throw PluginError("there are " + std::to_string(num_inputs) +
                          " inputs, expected query, key, value, key_mask and perhaps plan");
    }
}

std::string_view dtype_name(DataType type) {
    switch (type) {
        case DataType::kHALF: return "float16";
        case DataType::kBF16: return "bfloat16";
        case DataType::kFLOAT: return "float32";
        default: break;
    }
    throw PluginError("query has data type " + std::to_string(static_cast<int32_t>(type)) +
                      ", expected fp16, bf16 or fp32");
}

void check_types(const std::vector<PluginTensorDesc>& inputs) {
    check_num_inputs(static_cast<int32_t>(inputs.size()));
    dtype_name(inputs[0].type);
    for (size_t i = 0; i < inputs.size(); ++i) {
        const DataType expected = i < 3 ? inputs[0].type : DataType::kINT32;
        if (inputs[i].type != expected) {
            throw PluginError(std::string(input_names.at(i)) + " has data type " +
                              std::to_string(static_cast<int32_t>(inputs[i].type)) +
                              ", expected " + (i < 3 ? "that of query" : "int32"));
        }
        if (inputs[i].format != nvinfer1::TensorFormat::kLINEAR) {
            throw PluginError(std::string(input_names.at(i)) + " is not in linear format");
        }
    }
}

AttentionSizes check_shapes(const AttentionSpec& spec,
                            const std::vector<PluginTensorDesc>& inputs) {
    check_num_inputs(static_cast<int32_t>(inputs.size()));
    AttentionSizes sizes;
    check_heads(spec, inputs, sizes);
    const Dims& mask = inputs[3].dims;
    if (mask.nbDims != 2 || !agree(sizes.batch, mask.d[0]) || !agree(sizes.length, mask.d[1])) {
        throw_shape(3, mask, "[B, S], with those of query, " + text_of(inputs[0].dims));
    }
    // Kernels count tokens in 32 bits, and the last block may reach beyond the source.
    if (sizes.length > std::numeric_limits<int32_t>::max() - spec.block_size) {
        throw_shape(0, inputs[0].dims, "a shorter source");
    }
    sizes.has_plan = inputs.size() == 5;
    if (sizes.has_plan) {
        check_plan(spec, inputs[4].dims, sizes);
    }
    return sizes;
}

AttentionSizes check_known_shapes(const AttentionSpec& spec,
                                  const std::vector<PluginTensorDesc>& inputs) {
    const AttentionSizes sizes = check_shapes(spec, inputs);
    for (size_t i = 0; i < inputs.size(); ++i) {
        const Dims& shape = inputs[i].dims;
        if (std::any_of(shape.d, shape.d + shape.nbDims, [](int64_t d) { return d < 0; })) {
            throw_shape(i, shape, "known dimensions");
        }
    }
    return sizes;
}

}  // namespace pegasus
