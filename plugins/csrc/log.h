// Where the plugin's messages go: TensorRT's logger, or stderr before there is one.
#pragma once

#include <NvInferRuntime.h>

#include <string_view>

namespace pegasus {

void set_logger_finder(nvinfer1::ILoggerFinder* finder) noexcept;

// where: the function of the plugin's interface that failed.
void log_error(std::string_view where, std::string_view message) noexcept;

}  // namespace pegasus
