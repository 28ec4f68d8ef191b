#include "log.h"

#include <atomic>
#include <cstdio>
#include <exception>
#include <string>

#include "attention_spec.h"

namespace pegasus {
namespace {

std::atomic<nvinfer1::ILoggerFinder*> logger_finder{nullptr};

// Asked for each message: the finder outlives the loggers that it finds.
nvinfer1::ILogger* find_logger() {
    nvinfer1::ILoggerFinder* finder = logger_finder.load();
    return finder == nullptr ? nullptr : finder->findLogger();
}

}  // namespace

void set_logger_finder(nvinfer1::ILoggerFinder* finder) noexcept { logger_finder.store(finder); }

void log_error(std::string_view where, std::string_view message) noexcept {
    try {
        const std::string text = std::string(plugin_namespace) + "::" + plugin_name + ", " +
                                 std::string(where) + ": " + std::string(message);
        nvinfer1::ILogger* logger = find_logger();
        if (logger != nullptr) {
            logger->log(nvinfer1::ILogger::Severity::kERROR, text.c_str());
        } else {
            std::fprintf(stderr, "%s\n", text.c_str());
        }
    } catch (const std::exception&) {
        std::fputs("pegasus::BlockSparseAttention: an error, and no memory to tell which\n",
                   stderr);
    }
}

}  // namespace pegasus
