// Runs the plugin on a GPU: as a network's, kept in an engine, loaded, and in an execution context.

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "gpu_memory.h"
#include "modes.h"
#include "plugin_case.h"
#include "plugin_library.h"

namespace pegasus::harness {
namespace {

using nvinfer1::DataType;
using Descs = std::vector<nvinfer1::PluginTensorDesc>;

constexpr int num_warmups = 3;

size_t num_values(const nvinfer1::PluginTensorDesc& desc) {
    int64_t product = 1;
    for (int32_t i = 0; i < desc.dims.nbDims; ++i) {
        product *= desc.dims.d[i];
    }
    return static_cast<size_t>(product);
}

size_t num_bytes(const nvinfer1::PluginTensorDesc& desc) {
    const bool is_half = desc.type == DataType::kHALF || desc.type == DataType::kBF16;
    return num_values(desc) * (is_half ? 2 : 4);
}

// Numbers between 0.5 and 1 of either sign, whose bits need no arithmetic in any of the types.
Bytes arbitrary_values(const nvinfer1::PluginTensorDesc& desc, std::mt19937& random) {
    const bool is_float = desc.type == DataType::kFLOAT;
    const bool is_half = desc.type == DataType::kHALF;
    const uint32_t exponent = is_float ? 0x3f000000U : is_half ? 0x3800U : 0x3f00U;
    const uint32_t others = is_float ? 0x807fffffU : is_half ? 0x83ffU : 0x807fU;
    Bytes bytes;
    for (size_t i = 0; i < num_values(desc); ++i) {
        const uint32_t bits = exponent | (static_cast<uint32_t>(random()) & others);
        for (unsigned int shift = 0; shift < (is_float ? 32U : 16U); shift += 8) {
            bytes.push_back(static_cast<unsigned char>(bits >> shift));
        }
    }
    return bytes;
}

// A mask of ones, or blocks of a plan.
Bytes arbitrary_integers(const nvinfer1::PluginTensorDesc& desc, uint32_t least, uint32_t most,
                         std::mt19937& random) {
    Bytes bytes;
    for (size_t i = 0; i < num_values(desc); ++i) {
        const uint32_t value = least + static_cast<uint32_t>(random()) % (most - least + 1);
        for (unsigned int shift = 0; shift < 32; shift += 8) {
            bytes.push_back(static_cast<unsigned char>(value >> shift));
        }
    }
    return bytes;
}

std::vector<Bytes> arbitrary_inputs(const PluginCase& made, const Descs& descs) {
    std::mt19937 random(0);
    const auto num_blocks =
        static_cast<uint32_t>((made.length + made.block_size - 1) / made.block_size);
    std::vector<Bytes> inputs;
    for (size_t i = 0; i < 3; ++i) {
        inputs.push_back(arbitrary_values(descs[i], random));
    }
    inputs.push_back(arbitrary_integers(descs[3], 1, 1, random));
    if (made.has_plan) {
        inputs.push_back(arbitrary_integers(descs[4], 0, num_blocks - 1, random));
    }
    return inputs;
}

std::vector<Bytes> read_inputs(const std::string& path, const PluginCase& made,
                               const Descs& descs) {
    std::ifstream file(path, std::ios::binary);
    std::vector<Bytes> inputs;
    for (size_t i = 0; i < static_cast<size_t>(made.num_inputs()); ++i) {
        Bytes bytes(num_bytes(descs[i]));
        if (!file.read(reinterpret_cast<char*>(bytes.data()),
                       static_cast<std::streamsize>(bytes.size()))) {
            throw UsageError(path + " is shorter than the inputs");
        }
        inputs.push_back(bytes);
    }
    if (file.get() != std::ifstream::traits_type::eof()) {
        throw UsageError(path + " is longer than the inputs");
    }
    return inputs;
}

void write_output(const std::string& path, const Bytes& bytes) {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    if (!file.flush()) {
        throw UsageError("cannot write " + path);
    }
}

// The plugin that TensorRT would run, and the workspace that it would give it. workspace_rows: of
// an engine that was built on another GPU; 0 for this one.
OwnedPlugin load_plugin(PluginLibrary& library, const PluginCase& made, const Descs& descs,
                        int32_t workspace_rows, size_t& workspace_bytes) {
    CaseFields fields(made);
    const OwnedPlugin built(library.creator().createPlugin("attention", fields.collection(),
                                                           nvinfer1::TensorRTPhase::kBUILD));
    const auto tensors = dynamic(descs);
    if (!built || built.build().configurePlugin(tensors.data(), made.num_inputs(),
                                                &tensors.back(), 1) != 0) {
        throw UsageError(library.logger.last());
    }
    workspace_bytes = built.build().getWorkspaceSize(tensors.data(), made.num_inputs(),
                                                     &tensors.back(), 1);
    nvinfer1::PluginFieldCollection kept = *built.runtime().getFieldsToSerialize();
    std::vector<nvinfer1::PluginField> kept_fields(kept.fields, kept.fields + kept.nbFields);
    if (workspace_rows > 0) {
        kept_fields.back().data = &workspace_rows;
    }
    kept.fields = kept_fields.data();
    const OwnedPlugin loaded(library.creator().createPlugin("attention", &kept,
                                                            nvinfer1::TensorRTPhase::kRUNTIME));
    OwnedPlugin attached(loaded.runtime().attachToContext(nullptr));
    if (attached.runtime().onShapeChange(descs.data(), made.num_inputs(), &descs.back(), 1) != 0) {
        throw UsageError(library.logger.last());
    }
    return attached;
}

int enqueue(PluginLibrary& library, const Options& options, GpuMemory& gpu) {
    const PluginCase made = PluginCase::from(options);
    const int num_repeats = options.integer("repeats", 1);
    const Descs descs = descs_of(made);
    const std::string input = options.text("input", "");
    size_t workspace_bytes = 0;
    const OwnedPlugin plugin = load_plugin(
        library, made, descs, options.integer("workspace-rows", 0), workspace_bytes);
    std::vector<const void*> inputs;
    for (const Bytes& bytes :
         input.empty() ? arbitrary_inputs(made, descs) : read_inputs(input, made, descs)) {
        inputs.push_back(gpu.copy_in(bytes));
    }
    const size_t output_bytes = num_bytes(descs.back());
    void* output = gpu.allocate(output_bytes);
    void* workspace = gpu.allocate(workspace_bytes);
    std::vector<float> times_ms;
    for (int i = 0; i < num_warmups + std::max(num_repeats, 1); ++i) {
        gpu.start_watch();
        if (plugin.runtime().enqueue(descs.data(), &descs.back(), inputs.data(), &output,
                                     workspace, gpu.stream()) != 0) {
            std::fprintf(stderr, "error: %s\n", library.logger.last().c_str());
            return exit_failed;
        }
        times_ms.push_back(gpu.stop_watch_ms());
    }
    times_ms.erase(times_ms.begin(), times_ms.begin() + num_warmups);
    std::sort(times_ms.begin(), times_ms.end());
    if (const std::string path = options.text("output", ""); !path.empty()) {
        write_output(path, gpu.copy_out(output, output_bytes));
    }
    std::printf("{\"median_ms\": %.6f, \"least_ms\": %.6f, \"repeats\": %zu, "
                "\"workspace_bytes\": %zu}\n",
                static_cast<double>(times_ms[times_ms.size() / 2]),
                static_cast<double>(times_ms.front()), times_ms.size(), workspace_bytes);
    return 0;
}

}  // namespace

int enqueue_plugin(PluginLibrary& library, const Options& options) {
    try {
        GpuMemory gpu;
        return enqueue(library, options, gpu);
    } catch (const NoGpu& error) {
        std::fprintf(stderr, "skipped: %s\n", error.what());
        return exit_no_gpu;
    }
}

}  // namespace pegasus::harness
