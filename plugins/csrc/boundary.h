// The boundary to TensorRT, whose interface is noexcept: errors are logged and become a result.
#pragma once

#include <exception>
#include <string_view>

#include "log.h"

namespace pegasus {

// What `body` returns, or `failed` if it throws. where: the function of the interface.
template <typename Result, typename Body>
Result at_boundary(std::string_view where, Result failed, const Body& body) noexcept {
    try {
        return body();
    } catch (const std::exception& error) {
        log_error(where, error.what());
    } catch (...) {
        log_error(where, "an error of unknown kind");
    }
    return failed;
}

}  // namespace pegasus
