// Checks that need no GPU: a line of output each.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "plugin_case.h"
#include "plugin_library.h"

namespace pegasus::harness {

using Descs = std::vector<nvinfer1::PluginTensorDesc>;

class Checks {
public:
    Checks(PluginLibrary& checked, const PluginCase& made) : library(checked), usual(made) {}

    void that(const std::string& sentence, bool holds) {
        std::printf("%s %s\n", holds ? "ok    " : "FAILED", sentence.c_str());
        num_failed += holds ? 0 : 1;
    }

    // That something was refused, and the logger told why.
    void refused(const std::string& sentence, bool is_refused, const std::string& reason) {
        const bool is_told = library.logger.last().find(reason) != std::string::npos;
        that(sentence, is_refused && is_told);
        if (is_refused && !is_told) {
            std::printf("       logged: %s\n", library.logger.last().c_str());
        }
        library.logger.clear();
    }

    OwnedPlugin make(const PluginCase& made) {
        CaseFields fields(made);
        return make(fields.collection(), nvinfer1::TensorRTPhase::kBUILD);
    }

    OwnedPlugin make(const nvinfer1::PluginFieldCollection* fields, nvinfer1::TensorRTPhase phase) {
        return OwnedPlugin(library.creator().createPlugin("attention", fields, phase));
    }

    PluginLibrary& library;
    const PluginCase usual;
    int num_failed = 0;
};

inline int32_t change_shape(const OwnedPlugin& plugin, const Descs& descs) {
    const auto num_inputs = static_cast<int32_t>(descs.size()) - 1;
    return plugin.runtime().onShapeChange(descs.data(), num_inputs, &descs.back(), 1);
}

// The creator, the attributes, and how an engine keeps them.
void check_attributes(Checks& checks);
// What a network is told: the output, types and formats.
void check_types(Checks& checks);
// Which shapes a build and a run take.
void check_shapes(Checks& checks);

}  // namespace pegasus::harness
