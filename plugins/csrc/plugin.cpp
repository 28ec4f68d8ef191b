#include "plugin.h"

#include <string>
#include <vector>

#include "boundary.h"
#include "cuda_driver.h"
#include "input_checks.h"
#include "kernel_images.h"
#include "launch.h"
#include "plugin_error.h"

namespace pegasus {
namespace {

using nvinfer1::DataType;
using nvinfer1::DynamicPluginTensorDesc;
using nvinfer1::PluginTensorDesc;

constexpr int32_t success = 0;
constexpr int32_t failure = 1;

std::vector<PluginTensorDesc> descs_of(const DynamicPluginTensorDesc* tensors, int32_t count) {
    std::vector<PluginTensorDesc> descs;
    for (int32_t i = 0; i < count; ++i) {
        descs.push_back(tensors[i].desc);
    }
    return descs;
}

// At one end of the profile's ranges, where all dimensions are known.
std::vector<PluginTensorDesc> descs_at(const DynamicPluginTensorDesc* tensors, int32_t count,
                                       nvinfer1::Dims DynamicPluginTensorDesc::*end) {
    std::vector<PluginTensorDesc> descs = descs_of(tensors, count);
    for (int32_t i = 0; i < count; ++i) {
        descs[static_cast<size_t>(i)].dims = tensors[i].*end;
    }
    return descs;
}

void check_num_outputs(int32_t num_outputs) {
    if (num_outputs != 1) {
        throw PluginError("there are " + std::to_string(num_outputs) + " outputs, expected one");
    }
}

bool is_computed(DataType type) {
    return type == DataType::kHALF || type == DataType::kBF16 || type == DataType::kFLOAT;
}

}  // namespace

BlockSparseAttention::BlockSparseAttention(const AttentionSpec& spec,
                                           int32_t workspace_rows) noexcept
    : spec_(spec), workspace_rows_(workspace_rows), fields_(spec, workspace_rows) {}

nvinfer1::IPluginCapability* BlockSparseAttention::getCapabilityInterface(
    nvinfer1::PluginCapabilityType type) noexcept {
    switch (type) {
        case nvinfer1::PluginCapabilityType::kCORE:
            return static_cast<nvinfer1::IPluginV3OneCore*>(this);
        case nvinfer1::PluginCapabilityType::kBUILD:
            return static_cast<nvinfer1::IPluginV3OneBuild*>(this);
        case nvinfer1::PluginCapabilityType::kRUNTIME:
            return static_cast<nvinfer1::IPluginV3OneRuntime*>(this);
    }
    log_error("getCapabilityInterface", "TensorRT asks for a capability that is not known here");
    return nullptr;
}

// Without what was prepared: the clone may be for another GPU.
nvinfer1::IPluginV3* BlockSparseAttention::clone() noexcept {
    return at_boundary<nvinfer1::IPluginV3*>("clone", nullptr, [&] {
        return new BlockSparseAttention(spec_, workspace_rows_);
    });
}

int32_t BlockSparseAttention::getOutputDataTypes(DataType* outputs, int32_t num_outputs,
                                                 const DataType* inputs,
                                                 int32_t num_inputs) const noexcept {
    return at_boundary("getOutputDataTypes", failure, [&] {
        check_num_inputs(num_inputs);
        check_num_outputs(num_outputs);
        outputs[0] = inputs[0];
        return success;
    });
}

int32_t BlockSparseAttention::getOutputShapes(const nvinfer1::DimsExprs* inputs,
                                              int32_t num_inputs, const nvinfer1::DimsExprs*,
                                              int32_t, nvinfer1::DimsExprs* outputs,
                                              int32_t num_outputs,
                                              nvinfer1::IExprBuilder&) noexcept {
    return at_boundary("getOutputShapes", failure, [&] {
        check_num_inputs(num_inputs);
        check_num_outputs(num_outputs);
        if (inputs[0].nbDims != 4) {
            throw PluginError("query has " + std::to_string(inputs[0].nbDims) +
                              " dimensions, expected [B, H, S, Dh]");
        }
        outputs[0] = inputs[0];
        return success;
    });
}

bool BlockSparseAttention::supportsFormatCombination(int32_t position,
                                                     const DynamicPluginTensorDesc* tensors,
                                                     int32_t num_inputs,
                                                     int32_t num_outputs) noexcept {
    // TensorRT asks for what it may choose from, so a refusal is no error and is not logged.
    const bool is_counted = (num_inputs == 4 || num_inputs == 5) && num_outputs == 1;
    if (!is_counted || position < 0 || position > num_inputs) {
        return false;
    }
    const PluginTensorDesc& asked = tensors[position].desc;
    if (asked.format != nvinfer1::TensorFormat::kLINEAR) {
        return false;
    }
    if (position == 0) {
        return is_computed(asked.type);
    }
    const bool is_integer = position >= 3 && position < num_inputs;
    return asked.type == (is_integer ? DataType::kINT32 : tensors[0].desc.type);
}

int32_t BlockSparseAttention::configurePlugin(const DynamicPluginTensorDesc* inputs,
                                              int32_t num_inputs, const DynamicPluginTensorDesc*,
                                              int32_t num_outputs) noexcept {
    return at_boundary("configurePlugin", failure, [&] {
        check_num_inputs(num_inputs);
        check_num_outputs(num_outputs);
        const std::vector<PluginTensorDesc> descs = descs_of(inputs, num_inputs);
        check_types(descs);
        const AttentionSizes sizes = check_shapes(spec_, descs);
        // A build fails here, not the first run: a plan may be too short for the longest source.
        check_known_shapes(spec_, descs_at(inputs, num_inputs, &DynamicPluginTensorDesc::min));
        check_known_shapes(spec_, descs_at(inputs, num_inputs, &DynamicPluginTensorDesc::max));
        const KernelVariant variant = variant_of(descs[0].type, sizes);
        require_variant(embedded_kernels(), variant);
        if (has_current_gpu()) {
            load_attention_kernels(variant);
        }
        return success;
    });
}

size_t BlockSparseAttention::getWorkspaceSize(const DynamicPluginTensorDesc* inputs,
                                              int32_t num_inputs, const DynamicPluginTensorDesc*,
                                              int32_t) const noexcept {
    // There is no result that says "failed"; shapes that are wrong end in configurePlugin.
    return at_boundary<size_t>("getWorkspaceSize", 0, [&] {
        const AttentionSizes sizes = check_shapes(spec_, descs_of(inputs, num_inputs));
        return static_cast<size_t>(workspace_limit(sizes.head_dim, workspace_rows_));
    });
}

int32_t BlockSparseAttention::onShapeChange(const PluginTensorDesc* inputs, int32_t num_inputs,
                                            const PluginTensorDesc*,
                                            int32_t num_outputs) noexcept {
    prepared_.reset();
    return at_boundary("onShapeChange", failure, [&] {
        check_num_inputs(num_inputs);
        check_num_outputs(num_outputs);
        const std::vector<PluginTensorDesc> descs(inputs, inputs + num_inputs);
        check_types(descs);
        Prepared prepared{};
        prepared.sizes = check_known_shapes(spec_, descs);
        // Here and not in enqueue, which may be captured into a CUDA graph: loading may allocate.
        if (has_current_gpu()) {
            prepare_kernels(prepared, descs[0].type);
        }
        prepared_ = prepared;
        return success;
    });
}

int32_t BlockSparseAttention::enqueue(const PluginTensorDesc* input_descs,
                                      const PluginTensorDesc*, const void* const* inputs,
                                      void* const* outputs, void* workspace,
                                      cudaStream_t stream) noexcept {
    return at_boundary("enqueue", failure, [&] {
        // TensorRT announces shapes before its first enqueue, of fixed shapes too: it does so after
        // any setTensorAddress, without which there is no input (NvInferRuntime.h, onShapeChange).
        // enqueue is not even told how many inputs there are.
        if (!prepared_) {
            throw PluginError("no shapes were announced, expected onShapeChange first");
        }
        if (!prepared_->kernels) {
            prepare_kernels(*prepared_, input_descs[0].type);
        }
        AttentionBuffers buffers;
        buffers.query = inputs[0];
        buffers.key = inputs[1];
        buffers.value = inputs[2];
        buffers.key_mask = inputs[3];
        buffers.plan = prepared_->sizes.has_plan ? inputs[4] : nullptr;
        buffers.output = outputs[0];
        buffers.partial = prepared_->launch.workspace_bytes > 0 ? workspace : nullptr;
        launch_attention(*prepared_->kernels, spec_, prepared_->sizes, prepared_->launch, buffers,
                         stream);
        return success;
    });
}

nvinfer1::IPluginV3* BlockSparseAttention::attachToContext(
    nvinfer1::IPluginResourceContext*) noexcept {
    return clone();
}

const nvinfer1::PluginFieldCollection* BlockSparseAttention::getFieldsToSerialize() noexcept {
    return &fields_.collection();
}

KernelVariant BlockSparseAttention::variant_of(DataType type, const AttentionSizes& sizes) const {
    KernelVariant variant;
    variant.dtype = dtype_name(type);
    variant.head_dim = static_cast<int32_t>(sizes.head_dim);
    variant.block_size = spec_.block_size;
    variant.plan_columns = sizes.has_plan ? spec_.num_random_blocks : 0;
    return variant;
}

void BlockSparseAttention::prepare_kernels(Prepared& prepared, DataType type) const {
    prepared.kernels = load_attention_kernels(variant_of(type, prepared.sizes));
    prepared.launch = plan_attention(*prepared.kernels, spec_, prepared.sizes, workspace_rows_);
}

}  // namespace pegasus
