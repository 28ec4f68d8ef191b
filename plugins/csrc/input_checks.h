// Whether inputs are what `plugins/README.md` says: their types and shapes.
#pragma once

#include <NvInferRuntime.h>

#include <string_view>
#include <vector>

#include "attention_kernels.h"
#include "attention_spec.h"

namespace pegasus {

// Four inputs, or five with a plan. Throws PluginError.
void check_num_inputs(int32_t num_inputs);

// float16, bfloat16 or float32. Throws PluginError for any other type.
std::string_view dtype_name(nvinfer1::DataType type);

// Of [query, key, value, key_mask, (plan)]. Throws PluginError.
void check_types(const std::vector<nvinfer1::PluginTensorDesc>& inputs);

// Dimensions that are not known yet are -1, in the inputs and in what is returned: B, S and L' may
// be so, H, Dh and r may not. Throws PluginError.
AttentionSizes check_shapes(const AttentionSpec& spec,
                            const std::vector<nvinfer1::PluginTensorDesc>& inputs);

// The same, but all dimensions are known. Throws PluginError.
AttentionSizes check_known_shapes(const AttentionSpec& spec,
                                  const std::vector<nvinfer1::PluginTensorDesc>& inputs);

}  // namespace pegasus
