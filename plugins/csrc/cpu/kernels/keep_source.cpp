// Keys and values of the source, head by head, as halves.
#include "functions.h"
#include "keep_row.h"
#include "runs.h"

namespace pegasus::PEGASUS_SET {

namespace {

inline constexpr std::size_t kTokens = 16;  // that a thread takes at a time

void keep_tokens(const KeepSource& k, std::size_t document, std::size_t begin, std::size_t end) {
    const float* from = k.input + document * k.length * k.heads * k.head_dim;
    Half* to = k.output + document * k.heads * k.length * k.head_dim;
    for (std::size_t h = 0; h < k.heads; ++h) {
        for (std::size_t s = begin; s < end; ++s) {
            keep_row(from + (s * k.heads + h) * k.head_dim, k.head_dim,
                      to + (h * k.length + s) * k.head_dim);
        }
    }
}

}  // namespace

void keep_source(const KeepSource& k, const Threads& threads) {
    const std::size_t blocks = divide_up(k.length, kTokens);
    // A float moved takes about as long as 8 multiplications.
    const std::size_t work = 8 * k.batch * k.length * k.heads * k.head_dim;
    each_run(threads, k.batch * blocks, work, [&](std::size_t first, std::size_t last) {
        for (std::size_t i = first; i < last; ++i) {
            const std::size_t begin = i % blocks * kTokens;
            const std::size_t end = smaller(k.length, begin + kTokens);
            keep_tokens(k, i / blocks, begin, end);
        }
    });
}

}  // namespace pegasus::PEGASUS_SET
