// Drives the plugin library as TensorRT would, without TensorRT's libraries.

#include <cstdio>
#include <exception>
#include <string>

#include "modes.h"

namespace {

constexpr const char* usage =
    "usage: drive_plugin LIBRARY check   [options]\n"
    "       drive_plugin LIBRARY enqueue [options] [--repeats N] [--input FILE] [--output FILE]\n"
    "                            [--workspace-rows N]\n"
    "\n"
    "check    everything that needs no GPU, a line each; fails if any check does\n"
    "enqueue  runs the kernels on GPU 0 and prints the median time as a line of JSON; exits with\n"
    "         77 where there is no GPU. Files hold query, key, value, key_mask and the plan, if\n"
    "         any, as bare bytes, and the output likewise; without --input, values are arbitrary.\n"
    "         --workspace-rows: as in an engine that was built on another GPU\n"
    "\n"
    "options  --batch --heads --length --head-dim --block-size --random --longest-full N\n"
    "         --dtype fp16|bf16|fp32  --plan 0|1\n";

int run(int count, const char* const* arguments) {
    using namespace pegasus::harness;
    const std::string mode = count > 2 ? arguments[2] : "";
    if (mode != "check" && mode != "enqueue") {
        std::fputs(usage, stderr);
        return exit_usage;
    }
    const Options options(count - 3, arguments + 3);
    PluginLibrary library(arguments[1]);
    return mode == "check" ? check_plugin(library, options) : enqueue_plugin(library, options);
}

}  // namespace

int main(int count, char** arguments) {
    if (count == 2 && std::string(arguments[1]) == "--help") {
        std::fputs(usage, stdout);
        return 0;
    }
    try {
        return run(count, arguments);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "error: %s\n", error.what());
        return pegasus::harness::exit_usage;
    }
}
