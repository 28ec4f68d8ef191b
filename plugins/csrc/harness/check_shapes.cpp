#include <functional>
#include <string>

#include "checks.h"
#include "plugin_case.h"

namespace pegasus::harness {
namespace {

using nvinfer1::DataType;
using nvinfer1::PluginTensorDesc;

// Both of a build and of a run: the same checks stand behind them.
void check_refused_shapes(Checks& checks, const std::string& where,
                          const std::function<int32_t(const PluginCase&, const Descs&)>& call) {
    const auto refuse = [&](const std::string& what, bool has_plan,
                            const std::function<void(Descs&)>& change, const char* reason) {
        PluginCase made = checks.usual;
        made.has_plan = has_plan;
        Descs descs = descs_of(made);
        change(descs);
        checks.refused(where + " refuses " + what, call(made, descs) != 0, reason);
    };
    refuse("a query of other heads", false, [](Descs& x) { x[0].dims.d[1] = 5; },
           "expected num_heads, 4");
    refuse("a head dim of 48", false, [](Descs& x) { x[0].dims.d[3] = 48; }, "head dim is 48");
    refuse("a query of three dimensions", false, [](Descs& x) { x[0].dims.nbDims = 3; },
           "query is [2, 4, 640], expected [B, H, S, Dh]");
    refuse("a shorter key", false, [](Descs& x) { x[1].dims.d[2] = 64; }, "key is [2, 4, 64, ");
    refuse("a value of another batch", false, [](Descs& x) { x[2].dims.d[0] = 1; }, "value is [1");
    refuse("a mask of another length", false, [](Descs& x) { x[3].dims.d[1] = 64; },
           "key_mask is [2, 64], expected [B, S]");
    refuse("a mask of four dimensions", false, [](Descs& x) { x[3].dims = x[0].dims; },
           "key_mask is [2, 4");
    refuse("a mask of floats", false, [](Descs& x) { x[3].type = DataType::kFLOAT; },
           "key_mask has data type 0, expected int32");
    refuse("an int8 query", false, [](Descs& x) { x[0].type = DataType::kINT8; },
           "query has data type 2, expected fp16, bf16 or fp32");
    refuse("a plan of other columns", true, [](Descs& x) { x[4].dims.d[1] += 1; },
           "expected num_random_blocks columns");
    refuse("a plan of one dimension", true, [](Descs& x) { x[4].dims.nbDims = 1; }, "plan is [");
    refuse("a plan whose rows are no multiple of the heads", true,
           [](Descs& x) { x[4].dims.d[0] += 1; }, "multiple of num_heads, 4");
    refuse("a plan with too few rows", true, [](Descs& x) { x[4].dims.d[0] = 4; },
           "rows per head for a source of 640 tokens");
    refuse("three inputs", false, [](Descs& x) { x.erase(x.begin() + 3); }, "there are 3 inputs");
}

using Ranges = std::vector<nvinfer1::DynamicPluginTensorDesc>;

int32_t configure(const OwnedPlugin& plugin, const Ranges& tensors) {
    const auto num_inputs = static_cast<int32_t>(tensors.size()) - 1;
    return plugin.build().configurePlugin(tensors.data(), num_inputs, &tensors.back(), 1);
}

int32_t configure(const OwnedPlugin& plugin, const Descs& descs) {
    return configure(plugin, dynamic(descs));
}

// desc is fine in all of these: the ends of the ranges are not.
void check_ranges(Checks& checks) {
    PluginCase most = checks.usual;
    most.has_plan = true;
    PluginCase least = most;
    least.batch = 1;
    least.length = 64;
    Descs shortest = descs_of(least);
    shortest[4].dims = descs_of(most)[4].dims;
    const OwnedPlugin plugin = checks.make(most);
    checks.that("a build takes a plan for the longest source, whatever the shortest is",
                configure(plugin, between(shortest, descs_of(most))) == 0);
    Descs longest = descs_of(most);
    shortest[4].dims.d[0] = longest[4].dims.d[0] = most.num_heads;
    checks.refused("a build refuses a plan that is too short for the longest source",
                   configure(plugin, between(shortest, longest)) != 0,
                   "rows per head for a source of 640 tokens");
    Descs other = descs_of(least);
    other[3].dims.d[1] = 65;
    checks.refused("a build refuses a mask whose shortest is not the query's",
                   configure(plugin, between(other, descs_of(most))) != 0,
                   "key_mask is [1, 65], expected [B, S]");
    Ranges open = between(descs_of(least), descs_of(most));
    open[0].max.d[0] = open[1].max.d[0] = open[2].max.d[0] = open[3].max.d[0] = -1;
    checks.refused("a build refuses a range without an end", configure(plugin, open) != 0,
                   "expected known dimensions");
}

void check_configuration(Checks& checks) {
    const OwnedPlugin plugin = checks.make(checks.usual);
    checks.that("a build takes static shapes", configure(plugin, descs_of(checks.usual)) == 0);
    Descs descs = descs_of(checks.usual);
    for (PluginTensorDesc& desc : descs) {
        const bool is_heads = desc.dims.nbDims == 4;
        desc.dims.d[0] = -1;
        desc.dims.d[is_heads ? 2 : (desc.dims.nbDims - 1)] = -1;
    }
    if (checks.usual.has_plan) {
        descs[4].dims.d[1] = checks.usual.num_random_blocks;
    }
    Ranges tensors = dynamic(descs_of(checks.usual));
    for (size_t i = 0; i < tensors.size(); ++i) {
        tensors[i].desc.dims = descs[i].dims;
    }
    checks.that("a build takes dynamic B, S and L'", configure(plugin, tensors) == 0);
    const auto* fields = plugin.runtime().getFieldsToSerialize();
    const auto rows = static_cast<size_t>(*static_cast<const int32_t*>(fields->fields[5].data));
    const size_t expected = 4 * rows * static_cast<size_t>(checks.usual.head_dim + 2) * 4;
    checks.that("the workspace has the size of the limit",
                plugin.build().getWorkspaceSize(tensors.data(), checks.usual.num_inputs(),
                                                &tensors.back(), 1) == expected);
    tensors[0].desc.dims.d[1] = -1;
    checks.refused("a build refuses dynamic heads", configure(plugin, tensors) != 0,
                   "cannot be dynamic");
    PluginCase unheard = checks.usual;
    unheard.has_plan = true;
    unheard.num_random_blocks = 77;
    checks.refused("a build without a kernel for it is refused",
                   configure(checks.make(unheard), descs_of(unheard)) != 0,
                   "and 77 plan columns (there is one for no GPU): compile it with python -m "
                   "pegasus_plugins.compile_kernels");
    check_ranges(checks);
    check_refused_shapes(checks, "a build", [&](const PluginCase& made, const Descs& changed) {
        return configure(checks.make(made), changed);
    });
}

void check_shape_changes(Checks& checks) {
    const OwnedPlugin plugin = checks.make(checks.usual);
    checks.that("a run takes its shapes", change_shape(plugin, descs_of(checks.usual)) == 0);
    PluginCase other = checks.usual;
    other.batch = 1;
    other.length = 65;
    checks.that("and others later", change_shape(plugin, descs_of(other)) == 0);
    Descs descs = descs_of(checks.usual);
    descs[0].dims.d[0] = -1;
    checks.refused("a run refuses unknown dimensions", change_shape(plugin, descs) != 0,
                   "expected known dimensions");
    check_refused_shapes(checks, "a run", [&](const PluginCase& made, const Descs& changed) {
        return change_shape(checks.make(made), changed);
    });
    PluginCase full = checks.usual;
    full.has_plan = true;
    full.longest_full = full.length;
    Descs few = descs_of(full);
    few[4].dims.d[0] = 4;
    checks.that("a plan may be short where attention is full",
                change_shape(checks.make(full), few) == 0);
}

void check_missing_gpu(Checks& checks) {
    const OwnedPlugin plugin = checks.make(checks.usual);
    const Descs descs = descs_of(checks.usual);
    change_shape(plugin, descs);
    const void* const inputs[5]{};
    void* const outputs[1]{};
    checks.refused("a run without a GPU is refused",
                   plugin.runtime().enqueue(descs.data(), &descs.back(), inputs, outputs, nullptr,
                                            nullptr) != 0,
                   "CUDA");
}

}  // namespace

void check_shapes(Checks& checks) {
    check_configuration(checks);
    check_shape_changes(checks);
    check_missing_gpu(checks);
}

}  // namespace pegasus::harness
