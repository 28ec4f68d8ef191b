// Makes plugins: for a network that is built, and for an engine that is loaded.
#pragma once

#include <NvInferRuntime.h>

#include "attention_spec.h"

namespace pegasus {

class BlockSparseAttentionCreator final : public nvinfer1::IPluginCreatorV3One {
public:
    nvinfer1::IPluginV3* createPlugin(const char* name,
                                      const nvinfer1::PluginFieldCollection* fields,
                                      nvinfer1::TensorRTPhase phase) noexcept override;
    const nvinfer1::PluginFieldCollection* getFieldNames() noexcept override;

    const char* getPluginName() const noexcept override { return plugin_name; }
    const char* getPluginVersion() const noexcept override { return plugin_version; }
    const char* getPluginNamespace() const noexcept override { return plugin_namespace; }
};

}  // namespace pegasus
