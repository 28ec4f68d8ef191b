#include "creator.h"

#include "attention_fields.h"
#include "boundary.h"
#include "cuda_driver.h"
#include "kernel_images.h"
#include "plugin.h"

namespace pegasus {
namespace {

// More than any GPU has, for builds on machines without one.
constexpr int32_t plenty_of_sms = 256;

// Asked for once, when the network is made: the size of the workspace and what the engine keeps
// then agree, whichever GPU is current when TensorRT asks for them.
int32_t workspace_rows_for(const AttentionSpec& spec) {
    const int32_t num_sms = most_multiprocessors().value_or(plenty_of_sms);
    return num_sms * largest_tile_rows(embedded_kernels(), spec.block_size);
}

}  // namespace

nvinfer1::IPluginV3* BlockSparseAttentionCreator::createPlugin(
    const char*, const nvinfer1::PluginFieldCollection* fields,
    nvinfer1::TensorRTPhase phase) noexcept {
    return at_boundary<nvinfer1::IPluginV3*>("createPlugin", nullptr, [&] {
        const AttentionSpec spec = read_spec(fields);
        const bool is_loaded = phase == nvinfer1::TensorRTPhase::kRUNTIME;
        const int32_t rows = is_loaded ? read_workspace_rows(fields) : workspace_rows_for(spec);
        return new BlockSparseAttention(spec, rows);
    });
}

const nvinfer1::PluginFieldCollection* BlockSparseAttentionCreator::getFieldNames() noexcept {
    return &attribute_names();
}

}  // namespace pegasus
