#include <cstring>
#include <functional>
#include <limits>
#include <string>

#include "checks.h"
#include "plugin_case.h"

namespace pegasus::harness {
namespace {

using nvinfer1::PluginField;
using nvinfer1::PluginFieldCollection;
using nvinfer1::PluginFieldType;
using nvinfer1::TensorRTPhase;

void check_creator(Checks& checks) {
    checks.that("the library has one creator", checks.library.num_creators() == 1);
    nvinfer1::IPluginCreatorV3One& creator = checks.library.creator();
    checks.that("the creator is version 3 of the interface",
                std::string(creator.getInterfaceInfo().kind) == "PLUGIN CREATOR_V3ONE");
    checks.that("its name is BlockSparseAttention",
                std::string(creator.getPluginName()) == "BlockSparseAttention");
    checks.that("its version is 1", std::string(creator.getPluginVersion()) == "1");
    checks.that("its namespace is pegasus",
                std::string(creator.getPluginNamespace()) == "pegasus");
    std::string names;
    const PluginFieldCollection* fields = creator.getFieldNames();
    for (int32_t i = 0; i < fields->nbFields; ++i) {
        names += std::string(fields->fields[i].name) + " ";
    }
    checks.that("its fields are the five attributes",
                names == "num_heads block_size num_random_blocks longest_full scale ");
    const OwnedPlugin plugin = checks.make(checks.usual);
    checks.that("a plugin is made", static_cast<bool>(plugin));
    checks.that("the plugin has the creator's name, version and namespace",
                std::string(plugin.core().getPluginName()) == creator.getPluginName() &&
                    std::string(plugin.core().getPluginVersion()) == creator.getPluginVersion() &&
                    std::string(plugin.core().getPluginNamespace()) ==
                        creator.getPluginNamespace());
}

void check_creation_errors(Checks& checks) {
    const auto is_none = [&](const PluginFieldCollection* fields) {
        return !checks.make(fields, TensorRTPhase::kBUILD);
    };
    checks.refused("no fields are refused", is_none(nullptr), "num_heads is missing");
    for (size_t i = 0; i < 5; ++i) {
        CaseFields fields(checks.usual);
        const std::string name = fields.fields()[i].name;
        fields.fields()[i].name = "another";
        checks.refused("fields without " + name + " are refused", is_none(fields.collection()),
                       "attribute " + name + " is missing");
    }
    for (size_t i = 0; i < 5; ++i) {
        CaseFields fields(checks.usual);
        const std::string name = fields.fields()[i].name;
        fields.fields()[i].type = PluginFieldType::kCHAR;
        checks.refused(name + " as text is refused", is_none(fields.collection()),
                       "attribute " + name + " has field type 6");
    }
    CaseFields twice(checks.usual);
    twice.fields()[0].length = 2;
    checks.refused("two values are refused", is_none(twice.collection()), "2 values");
    CaseFields empty(checks.usual);
    empty.fields()[0].data = nullptr;
    checks.refused("no value is refused", is_none(empty.collection()), "0 values");
    const int64_t huge = int64_t{1} << 40;
    CaseFields wide(checks.usual);
    wide.fields()[0] = PluginField("num_heads", &huge, PluginFieldType::kINT64, 1);
    checks.refused("a number of 41 bits is refused", is_none(wide.collection()), "of 32 bits");
}

void check_attribute_values(Checks& checks) {
    const auto refuse = [&](const char* what, const std::function<void(PluginCase&)>& change,
                            const char* reason) {
        PluginCase made = checks.usual;
        change(made);
        checks.refused(std::string(what) + " is refused", !checks.make(made), reason);
    };
    refuse("a block size of 48", [](PluginCase& x) { x.block_size = 48; },
           "block_size is 48, expected one of 16, 32, 64, 128");
    refuse("no heads", [](PluginCase& x) { x.num_heads = 0; }, "num_heads is 0");
    refuse("-1 random blocks", [](PluginCase& x) { x.num_random_blocks = -1; },
           "num_random_blocks is -1");
    refuse("a negative longest_full", [](PluginCase& x) { x.longest_full = -1; },
           "longest_full is -1");
    refuse("a scale of 0", [](PluginCase& x) { x.scale = 0.0F; }, "expected a positive number");
    refuse("a scale of NaN",
           [](PluginCase& x) { x.scale = std::numeric_limits<float>::quiet_NaN(); },
           "scale is nan");
    const int64_t heads = checks.usual.num_heads;
    const double scale = checks.usual.scale;
    CaseFields fields(checks.usual);
    fields.fields()[0] = PluginField("num_heads", &heads, PluginFieldType::kINT64, 1);
    fields.fields()[4] = PluginField("scale", &scale, PluginFieldType::kFLOAT64, 1);
    checks.that("64-bit attributes are taken",
                static_cast<bool>(checks.make(fields.collection(), TensorRTPhase::kBUILD)));
}

bool are_same(const PluginFieldCollection* left, const PluginFieldCollection* right) {
    bool is_same = left != right && left->nbFields == 6 && right->nbFields == 6;
    for (int32_t i = 0; is_same && i < left->nbFields; ++i) {
        const PluginField& a = left->fields[i];
        const PluginField& b = right->fields[i];
        // Each is four bytes: an int32 or a float.
        is_same = std::string(a.name) == b.name && a.type == b.type && a.length == 1 &&
                  b.length == 1 && a.data != b.data && std::memcmp(a.data, b.data, 4) == 0;
    }
    return is_same;
}

void check_copies(Checks& checks) {
    OwnedPlugin plugin = checks.make(checks.usual);
    const auto* kept = plugin.runtime().getFieldsToSerialize();
    const OwnedPlugin loaded = checks.make(kept, TensorRTPhase::kRUNTIME);
    checks.that("an engine's plugin has the attributes of the network's",
                are_same(kept, loaded.runtime().getFieldsToSerialize()));
    CaseFields five(checks.usual);
    checks.refused("an engine's fields without the workspace's are refused",
                   !checks.make(five.collection(), TensorRTPhase::kRUNTIME),
                   "workspace_rows is missing");
    OwnedPlugin clone(plugin.get()->clone());
    const OwnedPlugin attached(loaded.runtime().attachToContext(nullptr));
    checks.that("a clone has the same attributes",
                are_same(kept, clone.runtime().getFieldsToSerialize()));
    checks.that("and so has one for an execution context",
                are_same(kept, attached.runtime().getFieldsToSerialize()));
    plugin = OwnedPlugin(nullptr);
    checks.that("a clone outlives what it was cloned from",
                change_shape(clone, descs_of(checks.usual)) == 0);
    const Descs descs = descs_of(checks.usual);
    checks.refused("a run without shapes is refused",
                   attached.runtime().enqueue(descs.data(), &descs.back(), nullptr, nullptr,
                                              nullptr, nullptr) != 0,
                   "expected onShapeChange first");
}

}  // namespace

void check_attributes(Checks& checks) {
    check_creator(checks);
    check_creation_errors(checks);
    check_attribute_values(checks);
    check_copies(checks);
}

}  // namespace pegasus::harness
