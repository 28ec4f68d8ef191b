// Options of a command line: `--name value` each.
#pragma once

#include <map>
#include <stdexcept>
#include <string>

namespace pegasus::harness {

// A command line or a file that is of no use.
class UsageError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

class Options {
public:
    // Throws UsageError for anything but pairs.
    Options(int count, const char* const* arguments) {
        for (int i = 0; i < count; i += 2) {
            const std::string name = arguments[i];
            if (name.rfind("--", 0) != 0 || i + 1 == count) {
                throw UsageError("expected `--name value`, got " + name);
            }
            values_[name.substr(2)] = arguments[i + 1];
        }
    }

    std::string text(const std::string& name, const std::string& fallback) const {
        const auto found = values_.find(name);
        return found == values_.end() ? fallback : found->second;
    }

    int integer(const std::string& name, int fallback) const {
        const auto found = values_.find(name);
        try {
            return found == values_.end() ? fallback : std::stoi(found->second);
        } catch (const std::logic_error&) {
            throw UsageError("--" + name + " is " + found->second + ", expected an integer");
        }
    }

private:
    std::map<std::string, std::string> values_;
};

}  // namespace pegasus::harness
