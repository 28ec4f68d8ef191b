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

int32_t configure(const OwnedPlugin& plugin, const Descs& descs) {
    const auto tensors = dynamic(descs);
    const auto num_inputs = static_cast<int32_t>(descs.size()) - 1;
    return plugin.build().configurePlugin(tensors.data(), num_inputs, &tensors.back(), 1);
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
    checks.that("a build takes dynamic B, S and L'", configure(plugin, descs) == 0);
    const auto tensors = dynamic(descs);
    const auto* fields = plugin.runtime().getFieldsToSerialize();
    const auto rows = static_cast<size_t>(*static_cast<const int32_t*>(fields->fields[5].data));
    const size_t expected = 4 * rows * static_cast<size_t>(checks.usual.head_dim + 2) * 4;
    checks.that("the workspace has the size of the limit",
                plugin.build().getWorkspaceSize(tensors.data(), checks.usual.num_inputs(),
                                                &tensors.back(), 1) == expected);
    descs[0].dims.d[1] = -1;
    checks.refused("a build refuses dynamic heads", configure(plugin, descs) != 0,
                   "cannot be dynamic");
    PluginCase unheard = checks.usual;
    unheard.has_plan = true;
    unheard.num_random_blocks = 77;
    checks.refused("a build without a kernel for it is refused",
                   configure(checks.make(unheard), descs_of(unheard)) != 0,
                   "and 77 plan columns (there is one for no GPU): compile it with python -m "
                   "pegasus_plugins.compile_kernels");
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
