// Items divided among threads.
#pragma once

#include "simd.h"

namespace pegasus::PEGASUS_SET {

// Multiplications that take about 20 microseconds: to wake a thread for less does not pay.
inline constexpr std::size_t kSmallWork = std::size_t{1} << 20;
// Threads start late and items differ, so each thread's share is cut into some runs.
inline constexpr std::size_t kRunsPerThread = 4;

// run(begin, end) over parts of [0, count); `work` is the multiplications of all of them.
template <class Run>
inline void each_run(const Threads& threads, std::size_t count, std::size_t work, Run&& run) {
    if (count == 0) return;
    const std::size_t width = static_cast<std::size_t>(larger(threads.width, 1));
    const bool is_small = work < kSmallWork || width == 1;
    const std::size_t runs = is_small ? 1 : smaller(count, width * kRunsPerThread);
    threads.each(runs, [&](std::size_t i) { run(count * i / runs, count * (i + 1) / runs); });
}

}  // namespace pegasus::PEGASUS_SET
