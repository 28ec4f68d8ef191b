// Floats in the precision in which keys and values are kept.
#pragma once

#include "simd.h"

namespace pegasus::PEGASUS_SET {

// What a half cannot hold becomes an infinity.
template <class T>
void keep_row(const float* from, std::size_t count, T* to) {
    std::size_t d = 0;
    for (; d + Floats::kWidth <= count; d += Floats::kWidth) Floats::load(from + d).store(to + d);
    if (const std::size_t rest = count - d; rest != 0) {
        T last[Floats::kWidth];
        Floats::load_some(from + d, rest).store(last);
        for (std::size_t i = 0; i < rest; ++i) to[d + i] = last[i];
    }
}

}  // namespace pegasus::PEGASUS_SET
