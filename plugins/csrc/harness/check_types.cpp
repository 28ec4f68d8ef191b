#include <string>

#include "checks.h"
#include "fake_dimensions.h"
#include "plugin_case.h"

namespace pegasus::harness {
namespace {

using nvinfer1::DataType;

void check_output(Checks& checks) {
    const OwnedPlugin plugin = checks.make(checks.usual);
    nvinfer1::IPluginV3OneBuild& build = plugin.build();
    checks.that("there is one output", build.getNbOutputs() == 1);
    FakeDimension dimensions[4];
    FakeExprBuilder builder;
    nvinfer1::DimsExprs inputs[4]{};
    for (nvinfer1::DimsExprs& input : inputs) {
        input.nbDims = 4;
        for (int i = 0; i < 4; ++i) {
            input.d[i] = &dimensions[i];
        }
    }
    nvinfer1::DimsExprs output{};
    const int32_t result = build.getOutputShapes(inputs, 4, nullptr, 0, &output, 1, builder);
    bool is_query = result == 0 && output.nbDims == 4;
    for (int i = 0; i < 4; ++i) {
        is_query = is_query && output.d[i] == &dimensions[i];
    }
    checks.that("the output's dimensions are the query's very expressions", is_query);
    checks.refused("output shapes of three inputs are refused",
                   build.getOutputShapes(inputs, 3, nullptr, 0, &output, 1, builder) != 0,
                   "there are 3 inputs");
    inputs[0].nbDims = 3;
    checks.refused("a query of three dimensions is refused",
                   build.getOutputShapes(inputs, 4, nullptr, 0, &output, 1, builder) != 0,
                   "3 dimensions");
    for (const DataType type : {DataType::kHALF, DataType::kBF16, DataType::kFLOAT}) {
        const DataType types[4]{type, type, type, DataType::kINT32};
        DataType made = DataType::kINT8;
        const bool is_made = build.getOutputDataTypes(&made, 1, types, 4) == 0;
        checks.that("the output has the query's type " +
                        std::to_string(static_cast<int32_t>(type)),
                    is_made && made == type);
    }
}

void check_formats(Checks& checks) {
    const OwnedPlugin plugin = checks.make(checks.usual);
    PluginCase planned = checks.usual;
    planned.has_plan = true;
    const auto count = [&](const PluginCase& made, size_t changed, DataType type,
                           nvinfer1::TensorFormat format) {
        Descs descs = descs_of(made);
        descs[changed].type = type;
        descs[changed].format = format;
        const auto tensors = dynamic(descs);
        int accepted = 0;
        for (int32_t i = 0; i <= made.num_inputs(); ++i) {
            const bool is_taken = plugin.build().supportsFormatCombination(
                i, tensors.data(), made.num_inputs(), 1);
            accepted += is_taken ? 1 : 0;
        }
        return accepted;
    };
    const auto linear = nvinfer1::TensorFormat::kLINEAR;
    for (const DataType type : {DataType::kHALF, DataType::kBF16, DataType::kFLOAT}) {
        PluginCase made = checks.usual;
        made.type = type;
        checks.that("all inputs of type " + std::to_string(static_cast<int32_t>(type)) +
                        " are taken",
                    count(made, 0, type, linear) == 5);
    }
    checks.that("a plan is taken", count(planned, 4, DataType::kINT32, linear) == 6);
    checks.that("a key of another type is refused",
                count(checks.usual, 1, DataType::kINT8, linear) == 4);
    checks.that("an int8 query is refused", count(checks.usual, 0, DataType::kINT8, linear) <= 1);
    checks.that("a mask of another type is refused",
                count(checks.usual, 3, DataType::kBOOL, linear) == 4);
    checks.that("a plan of another type is refused",
                count(planned, 4, DataType::kINT64, linear) == 5);
    checks.that("an output of another type is refused",
                count(checks.usual, 4, DataType::kINT8, linear) == 4);
    checks.that("a format other than linear is refused",
                count(checks.usual, 2, checks.usual.type, nvinfer1::TensorFormat::kCHW32) == 4);
    const auto tensors = dynamic(descs_of(checks.usual));
    checks.that("three inputs have no format",
                !plugin.build().supportsFormatCombination(0, tensors.data(), 3, 1));
}

}  // namespace

void check_types(Checks& checks) {
    check_output(checks);
    check_formats(checks);
}

}  // namespace pegasus::harness
