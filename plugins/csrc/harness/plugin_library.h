// The library as TensorRT's registry sees it: two functions, found by name.
#pragma once

#include <NvInferRuntime.h>
#include <dlfcn.h>

#include <memory>
#include <string>
#include <vector>

#include "options.h"

namespace pegasus::harness {

// Keeps what is logged, so that a check can look for it.
class KeepingLogger final : public nvinfer1::ILogger, public nvinfer1::ILoggerFinder {
public:
    void log(Severity, const char* message) noexcept override { last_ = message; }
    nvinfer1::ILogger* findLogger() override { return this; }
    const std::string& last() const { return last_; }
    void clear() { last_.clear(); }

private:
    std::string last_;
};

class PluginLibrary {
public:
    explicit PluginLibrary(const std::string& path) {
        // As the registry does: with what is missing found now, not later.
        handle_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (handle_ == nullptr) {
            throw UsageError(dlerror());
        }
        using GetCreators = nvinfer1::IPluginCreatorInterface* const* (*)(int32_t&);
        using SetLoggerFinder = void (*)(nvinfer1::ILoggerFinder*);
        const auto get_creators = reinterpret_cast<GetCreators>(find("getCreators"));
        reinterpret_cast<SetLoggerFinder>(find("setLoggerFinder"))(&logger);
        int32_t count = 0;
        nvinfer1::IPluginCreatorInterface* const* creators = get_creators(count);
        creators_.assign(creators, creators + count);
    }
    PluginLibrary(const PluginLibrary&) = delete;
    PluginLibrary& operator=(const PluginLibrary&) = delete;
    ~PluginLibrary() { dlclose(handle_); }

    size_t num_creators() const { return creators_.size(); }
    nvinfer1::IPluginCreatorV3One& creator() const {
        return *static_cast<nvinfer1::IPluginCreatorV3One*>(creators_.at(0));
    }

    KeepingLogger logger;

private:
    void* find(const char* name) const {
        void* symbol = dlsym(handle_, name);
        if (symbol == nullptr) {
            throw UsageError(std::string("the library does not export ") + name);
        }
        return symbol;
    }

    void* handle_ = nullptr;
    std::vector<nvinfer1::IPluginCreatorInterface*> creators_;
};

// A plugin and its three interfaces.
class OwnedPlugin {
public:
    explicit OwnedPlugin(nvinfer1::IPluginV3* plugin) : plugin_(plugin) {}

    explicit operator bool() const { return plugin_ != nullptr; }
    nvinfer1::IPluginV3* get() const { return plugin_.get(); }
    nvinfer1::IPluginV3OneCore& core() const {
        return capability<nvinfer1::IPluginV3OneCore>(nvinfer1::PluginCapabilityType::kCORE);
    }
    nvinfer1::IPluginV3OneBuild& build() const {
        return capability<nvinfer1::IPluginV3OneBuild>(nvinfer1::PluginCapabilityType::kBUILD);
    }
    nvinfer1::IPluginV3OneRuntime& runtime() const {
        return capability<nvinfer1::IPluginV3OneRuntime>(nvinfer1::PluginCapabilityType::kRUNTIME);
    }

private:
    template <typename Capability>
    Capability& capability(nvinfer1::PluginCapabilityType type) const {
        if (plugin_ == nullptr) {
            throw UsageError("the creator made no plugin");
        }
        return *static_cast<Capability*>(plugin_->getCapabilityInterface(type));
    }

    std::unique_ptr<nvinfer1::IPluginV3> plugin_;
};

}  // namespace pegasus::harness
