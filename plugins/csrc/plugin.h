// The operator as TensorRT's plugin, version 3 of the interface: the same from TensorRT 10.0 to 11.
//
// Between those versions nothing of what is implemented here changed but the layout of ILogger:
// a library serves the major version of TensorRT whose headers it was compiled with.
#pragma once

#include <NvInferRuntime.h>

#include <optional>

#include "attention_fields.h"
#include "attention_kernels.h"
#include "attention_spec.h"

namespace pegasus {

class BlockSparseAttention final : public nvinfer1::IPluginV3,
                                   public nvinfer1::IPluginV3OneCore,
                                   public nvinfer1::IPluginV3OneBuild,
                                   public nvinfer1::IPluginV3OneRuntime {
public:
    // workspace_rows: multiprocessors times tile rows that the workspace is for. An engine keeps
    // it: on a larger GPU than that of the build, no launch may write beyond what was asked for.
    BlockSparseAttention(const AttentionSpec& spec, int32_t workspace_rows) noexcept;

    nvinfer1::IPluginCapability* getCapabilityInterface(
        nvinfer1::PluginCapabilityType type) noexcept override;
    nvinfer1::IPluginV3* clone() noexcept override;

    const char* getPluginName() const noexcept override { return plugin_name; }
    const char* getPluginVersion() const noexcept override { return plugin_version; }
    const char* getPluginNamespace() const noexcept override { return plugin_namespace; }

    int32_t getNbOutputs() const noexcept override { return 1; }
    int32_t getOutputDataTypes(nvinfer1::DataType* outputs, int32_t num_outputs,
                               const nvinfer1::DataType* inputs,
                               int32_t num_inputs) const noexcept override;
    int32_t getOutputShapes(const nvinfer1::DimsExprs* inputs, int32_t num_inputs,
                            const nvinfer1::DimsExprs* shape_inputs, int32_t num_shape_inputs,
                            nvinfer1::DimsExprs* outputs, int32_t num_outputs,
                            nvinfer1::IExprBuilder& builder) noexcept override;
    bool supportsFormatCombination(int32_t position,
                                   const nvinfer1::DynamicPluginTensorDesc* tensors,
                                   int32_t num_inputs, int32_t num_outputs) noexcept override;
    int32_t configurePlugin(const nvinfer1::DynamicPluginTensorDesc* inputs, int32_t num_inputs,
                            const nvinfer1::DynamicPluginTensorDesc* outputs,
                            int32_t num_outputs) noexcept override;
    size_t getWorkspaceSize(const nvinfer1::DynamicPluginTensorDesc* inputs, int32_t num_inputs,
                            const nvinfer1::DynamicPluginTensorDesc* outputs,
                            int32_t num_outputs) const noexcept override;

    int32_t onShapeChange(const nvinfer1::PluginTensorDesc* inputs, int32_t num_inputs,
                          const nvinfer1::PluginTensorDesc* outputs,
                          int32_t num_outputs) noexcept override;
    int32_t enqueue(const nvinfer1::PluginTensorDesc* input_descs,
                    const nvinfer1::PluginTensorDesc* output_descs, const void* const* inputs,
                    void* const* outputs, void* workspace, cudaStream_t stream) noexcept override;
    nvinfer1::IPluginV3* attachToContext(
        nvinfer1::IPluginResourceContext* context) noexcept override;
    const nvinfer1::PluginFieldCollection* getFieldsToSerialize() noexcept override;

private:
    // What a shape needs, worked out when it changes so that enqueue only launches.
    struct Prepared {
        AttentionSizes sizes;
        std::optional<AttentionKernels> kernels;  // none yet where there is no GPU
        Launch launch;
    };

    KernelVariant variant_of(nvinfer1::DataType type, const AttentionSizes& sizes) const;
    void prepare_kernels(Prepared& prepared, nvinfer1::DataType type) const;

    AttentionSpec spec_;
    int32_t workspace_rows_;
    AttentionFields fields_;
    std::optional<Prepared> prepared_;
};

}  // namespace pegasus
