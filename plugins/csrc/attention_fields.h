// The attributes as TensorRT passes and keeps them: plugin fields.
#pragma once

#include <NvInferRuntime.h>

#include <array>
#include <cstdint>

#include "attention_spec.h"

namespace pegasus {

// Fields of the five attributes, without values: what a network gives.
const nvinfer1::PluginFieldCollection& attribute_names() noexcept;

// Throws PluginError for attributes that are missing, of another type or out of range. Others than
// the five are TensorRT's own, such as the plugin's version, and of no interest here.
AttentionSpec read_spec(const nvinfer1::PluginFieldCollection* fields);

// What an engine keeps besides: the size of the workspace, see `plugin.h`. Throws PluginError.
int32_t read_workspace_rows(const nvinfer1::PluginFieldCollection* fields);

// Attributes as fields, for an engine to keep.
class AttentionFields {
public:
    AttentionFields(const AttentionSpec& spec, int32_t workspace_rows) noexcept;
    // The fields point into this object.
    AttentionFields(const AttentionFields&) = delete;
    AttentionFields& operator=(const AttentionFields&) = delete;

    const nvinfer1::PluginFieldCollection& collection() const noexcept { return collection_; }

private:
    AttentionSpec spec_;
    int32_t workspace_rows_;
    std::array<nvinfer1::PluginField, 6> fields_;
    nvinfer1::PluginFieldCollection collection_;
};

}  // namespace pegasus
