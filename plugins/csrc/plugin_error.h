// What goes wrong inside the plugin. It ends at the boundary to TensorRT: see `boundary.h`.
#pragma once

#include <stdexcept>

namespace pegasus {

class PluginError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

}  // namespace pegasus
