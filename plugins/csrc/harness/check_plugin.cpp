// Everything about the plugin that can be told without a GPU.

#include "checks.h"
#include "modes.h"
#include "plugin_case.h"
#include "plugin_library.h"

namespace pegasus::harness {

int check_plugin(PluginLibrary& library, const Options& options) {
    PluginCase usual;  // its sizes are those that the checks name
    const PluginCase asked = PluginCase::from(options);
    usual.head_dim = asked.head_dim;
    usual.block_size = asked.block_size;
    usual.num_random_blocks = asked.num_random_blocks;
    usual.type = asked.type;
    Checks checks(library, usual);
    check_attributes(checks);
    check_types(checks);
    check_shapes(checks);
    return checks.num_failed == 0 ? 0 : exit_failed;
}

}  // namespace pegasus::harness
