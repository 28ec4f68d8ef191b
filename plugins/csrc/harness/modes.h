// What drive_plugin does: see its --help.
#pragma once

#include "options.h"
#include "plugin_library.h"

namespace pegasus::harness {

inline constexpr int exit_failed = 1;
inline constexpr int exit_usage = 2;
inline constexpr int exit_no_gpu = 77;  // what test runners take for "skipped"

// Each returns the process's exit status and throws UsageError.
int check_plugin(PluginLibrary& library, const Options& options);
int enqueue_plugin(PluginLibrary& library, const Options& options);

}  // namespace pegasus::harness
