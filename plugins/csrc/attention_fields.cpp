#include "attention_fields.h"

#include <limits>
#include <string>
#include <string_view>

#include "plugin_error.h"

namespace pegasus {
namespace {

using nvinfer1::PluginField;
using nvinfer1::PluginFieldCollection;
using nvinfer1::PluginFieldType;

constexpr const char* num_heads_name = "num_heads";
constexpr const char* block_size_name = "block_size";
constexpr const char* num_random_blocks_name = "num_random_blocks";
constexpr const char* longest_full_name = "longest_full";
constexpr const char* scale_name = "scale";
constexpr const char* workspace_rows_name = "workspace_rows";

PluginField integer_field(const char* name, const int32_t* value) noexcept {
    return {name, value, PluginFieldType::kINT32, 1};
}

const PluginField& find_field(const PluginFieldCollection* fields, std::string_view name) {
    if (fields != nullptr && fields->fields != nullptr) {
        for (int32_t i = 0; i < fields->nbFields; ++i) {
            const PluginField& field = fields->fields[i];
            if (field.name == nullptr || name != field.name) {
                continue;
            }
            if (field.data == nullptr || field.length != 1) {
                throw PluginError("attribute " + std::string(name) + " has " +
                                  std::to_string(field.data == nullptr ? 0 : field.length) +
                                  " values, expected one");
            }
            return field;
        }
    }
    throw PluginError("attribute " + std::string(name) +
                      " is missing, expected num_heads, block_size, num_random_blocks, "
                      "longest_full and scale");
}

[[noreturn]] void throw_type(const PluginField& field, const char* expected) {
    throw PluginError("attribute " + std::string(field.name) + " has field type " +
                      std::to_string(static_cast<int32_t>(field.type)) + ", expected " + expected);
}

// ONNX has integers of 64 bits only, and some callers of TensorRT pass them on as such.
int32_t read_integer(const PluginFieldCollection* fields, const char* name) {
    const PluginField& field = find_field(fields, name);
    if (field.type == PluginFieldType::kINT32) {
        return *static_cast<const int32_t*>(field.data);
    }
    if (field.type != PluginFieldType::kINT64) {
        throw_type(field, "an integer, kINT32 or kINT64");
    }
    const int64_t value = *static_cast<const int64_t*>(field.data);
    if (value < std::numeric_limits<int32_t>::min() ||
        value > std::numeric_limits<int32_t>::max()) {
        throw PluginError("attribute " + std::string(name) + " is " + std::to_string(value) +
                          ", expected a number of 32 bits");
    }
    return static_cast<int32_t>(value);
}

float read_float(const PluginFieldCollection* fields, const char* name) {
    const PluginField& field = find_field(fields, name);
    if (field.type == PluginFieldType::kFLOAT32) {
        return *static_cast<const float*>(field.data);
    }
    if (field.type != PluginFieldType::kFLOAT64) {
        throw_type(field, "a float, kFLOAT32 or kFLOAT64");
    }
    return static_cast<float>(*static_cast<const double*>(field.data));
}

}  // namespace

const PluginFieldCollection& attribute_names() noexcept {
    static const std::array<PluginField, 5> names{
        integer_field(num_heads_name, nullptr),
        integer_field(block_size_name, nullptr),
        integer_field(num_random_blocks_name, nullptr),
        integer_field(longest_full_name, nullptr),
        PluginField(scale_name, nullptr, PluginFieldType::kFLOAT32, 1),
    };
    static const PluginFieldCollection collection{static_cast<int32_t>(names.size()),
                                                  names.data()};
    return collection;
}

AttentionSpec read_spec(const PluginFieldCollection* fields) {
    AttentionSpec spec;
    spec.num_heads = read_integer(fields, num_heads_name);
    spec.block_size = read_integer(fields, block_size_name);
    spec.num_random_blocks = read_integer(fields, num_random_blocks_name);
    spec.longest_full = read_integer(fields, longest_full_name);
    spec.scale = read_float(fields, scale_name);
    check_spec(spec);
    return spec;
}

int32_t read_workspace_rows(const PluginFieldCollection* fields) {
    const int32_t rows = read_integer(fields, workspace_rows_name);
    if (rows < 1) {
        throw PluginError("workspace_rows is " + std::to_string(rows) + ", expected at least 1");
    }
    return rows;
}

AttentionFields::AttentionFields(const AttentionSpec& spec, int32_t workspace_rows) noexcept
    : spec_(spec),
      workspace_rows_(workspace_rows),
      fields_{integer_field(num_heads_name, &spec_.num_heads),
              integer_field(block_size_name, &spec_.block_size),
              integer_field(num_random_blocks_name, &spec_.num_random_blocks),
              integer_field(longest_full_name, &spec_.longest_full),
              PluginField(scale_name, &spec_.scale, PluginFieldType::kFLOAT32, 1),
              integer_field(workspace_rows_name, &workspace_rows_)},
      collection_{static_cast<int32_t>(fields_.size()), fields_.data()} {}

}  // namespace pegasus
