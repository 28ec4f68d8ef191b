// What `IPluginRegistry::loadLibrary` looks up: the library's only two symbols.

#include <NvInferRuntime.h>

#include "creator.h"
#include "log.h"

#define PEGASUS_EXPORT __attribute__((visibility("default")))

extern "C" PEGASUS_EXPORT nvinfer1::IPluginCreatorInterface* const* getCreators(
    int32_t& nbCreators) {
    static pegasus::BlockSparseAttentionCreator creator;
    static nvinfer1::IPluginCreatorInterface* const creators[] = {&creator};
    nbCreators = 1;
    return creators;
}

extern "C" PEGASUS_EXPORT void setLoggerFinder(nvinfer1::ILoggerFinder* finder) {
    pegasus::set_logger_finder(finder);
}
