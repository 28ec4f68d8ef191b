// One use of the plugin: attributes, inputs and their types, as TensorRT would pass them.
#pragma once

#include <NvInferRuntime.h>

#include <cmath>
#include <string>
#include <vector>

#include "options.h"

namespace pegasus::harness {

struct PluginCase {
    int32_t batch = 2;
    int32_t num_heads = 4;
    int32_t length = 640;
    int32_t head_dim = 64;
    int32_t block_size = 64;
    int32_t num_random_blocks = 3;
    int32_t longest_full = 0;
    float scale = 0.125F;
    bool has_plan = false;
    nvinfer1::DataType type = nvinfer1::DataType::kHALF;

    int32_t num_inputs() const { return has_plan ? 5 : 4; }
    int32_t plan_rows() const {  // L': no more than needed
        const int32_t num_blocks = (length + block_size - 1) / block_size;
        return num_heads * (num_blocks > 2 ? num_blocks - 2 : 1);
    }

    // --batch, --heads, --length, --head-dim, --block-size, --random, --longest-full, --dtype
    // fp16, bf16 or fp32, --plan 1. Throws UsageError.
    static PluginCase from(const Options& options) {
        PluginCase made;
        made.batch = options.integer("batch", made.batch);
        made.num_heads = options.integer("heads", made.num_heads);
        made.length = options.integer("length", made.length);
        made.head_dim = options.integer("head-dim", made.head_dim);
        made.block_size = options.integer("block-size", made.block_size);
        made.num_random_blocks = options.integer("random", made.num_random_blocks);
        made.longest_full = options.integer("longest-full", made.longest_full);
        made.scale = 1.0F / std::sqrt(static_cast<float>(made.head_dim));
        made.has_plan = options.integer("plan", 0) != 0;
        const std::string dtype = options.text("dtype", "fp16");
        if (dtype != "fp16" && dtype != "bf16" && dtype != "fp32") {
            throw UsageError("--dtype is " + dtype + ", expected fp16, bf16 or fp32");
        }
        made.type = dtype == "fp16"   ? nvinfer1::DataType::kHALF
                    : dtype == "bf16" ? nvinfer1::DataType::kBF16
                                      : nvinfer1::DataType::kFLOAT;
        return made;
    }
};

// The attributes as fields, which may be changed before they are passed on.
class CaseFields {
public:
    explicit CaseFields(const PluginCase& made) : case_(made) {
        using nvinfer1::PluginFieldType;
        add("num_heads", &case_.num_heads, PluginFieldType::kINT32);
        add("block_size", &case_.block_size, PluginFieldType::kINT32);
        add("num_random_blocks", &case_.num_random_blocks, PluginFieldType::kINT32);
        add("longest_full", &case_.longest_full, PluginFieldType::kINT32);
        add("scale", &case_.scale, PluginFieldType::kFLOAT32);
    }
    CaseFields(const CaseFields&) = delete;
    CaseFields& operator=(const CaseFields&) = delete;

    std::vector<nvinfer1::PluginField>& fields() { return fields_; }
    const nvinfer1::PluginFieldCollection* collection() {
        collection_ = {static_cast<int32_t>(fields_.size()), fields_.data()};
        return &collection_;
    }

private:
    void add(const char* name, const void* value, nvinfer1::PluginFieldType type) {
        fields_.emplace_back(name, value, type, 1);
    }

    PluginCase case_;
    std::vector<nvinfer1::PluginField> fields_;
    nvinfer1::PluginFieldCollection collection_;
};

inline nvinfer1::Dims shape_of(const std::vector<int64_t>& dimensions) {
    nvinfer1::Dims shape{};
    for (const int64_t dimension : dimensions) {
        shape.d[shape.nbDims++] = dimension;
    }
    return shape;
}

inline nvinfer1::PluginTensorDesc desc_of(const std::vector<int64_t>& dimensions,
                                          nvinfer1::DataType type) {
    nvinfer1::PluginTensorDesc desc{};
    desc.dims = shape_of(dimensions);
    desc.type = type;
    desc.format = nvinfer1::TensorFormat::kLINEAR;
    return desc;
}

// All inputs, then the output.
inline std::vector<nvinfer1::PluginTensorDesc> descs_of(const PluginCase& made) {
    const std::vector<int64_t> heads{made.batch, made.num_heads, made.length, made.head_dim};
    std::vector<nvinfer1::PluginTensorDesc> descs(3, desc_of(heads, made.type));
    descs.push_back(desc_of({made.batch, made.length}, nvinfer1::DataType::kINT32));
    if (made.has_plan) {
        descs.push_back(
            desc_of({made.plan_rows(), made.num_random_blocks}, nvinfer1::DataType::kINT32));
    }
    descs.push_back(desc_of(heads, made.type));
    return descs;
}

// The same for a build.
inline std::vector<nvinfer1::DynamicPluginTensorDesc> dynamic(
    const std::vector<nvinfer1::PluginTensorDesc>& descs) {
    std::vector<nvinfer1::DynamicPluginTensorDesc> made;
    for (const nvinfer1::PluginTensorDesc& desc : descs) {
        made.push_back({desc, desc.dims, desc.dims, desc.dims});
    }
    return made;
}

// Of a profile between two shapes: dimensions that differ are not known.
inline std::vector<nvinfer1::DynamicPluginTensorDesc> between(
    const std::vector<nvinfer1::PluginTensorDesc>& least,
    const std::vector<nvinfer1::PluginTensorDesc>& most) {
    std::vector<nvinfer1::DynamicPluginTensorDesc> made = dynamic(most);
    for (size_t i = 0; i < made.size(); ++i) {
        made[i].min = least[i].dims;
        for (int32_t d = 0; d < made[i].desc.dims.nbDims; ++d) {
            if (least[i].dims.d[d] != most[i].dims.d[d]) {
                made[i].desc.dims.d[d] = -1;
            }
        }
    }
    return made;
}

}  // namespace pegasus::harness
