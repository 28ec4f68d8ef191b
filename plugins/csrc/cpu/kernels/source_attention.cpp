// Cross-attention: keys and values of a document pass by once, for eight beams at a time.
#include "attention_block.h"
#include "functions.h"
#include "query_lanes.h"
#include "runs.h"

namespace pegasus::PEGASUS_SET {

namespace {

// Tokens up to the last that is no padding; none if all are.
std::size_t find_end(const std::int64_t* mask, std::size_t length) {
    while (length > 0 && mask[length - 1] == 0) --length;
    return length;
}

bool has_holes(const std::int64_t* mask, std::size_t count) {
    std::size_t holes = 0;
    for (std::size_t i = 0; i < count; ++i) holes += mask[i] == 0;
    return holes != 0;
}

template <class T>
void attend_head(const SourceAttention& a, std::size_t document, std::size_t head) {
    const std::size_t start = (document * a.heads + head) * a.length * a.head_dim;
    const T* key = static_cast<const T*>(a.key) + start;
    const T* value = static_cast<const T*>(a.value) + start;
    const bool is_last_head = document + 1 == a.batch && head + 1 == a.heads;
    const T* next_key = is_last_head ? key : key + a.length * a.head_dim;
    const std::size_t next_count = is_last_head ? 0 : a.length;
    const std::int64_t* mask = a.mask + document * a.length;
    const std::size_t unmasked = find_end(mask, a.length);
    // Where all is padding every score is the lowest float: all alike, as those of zero queries.
    const bool is_blank = unmasked == 0;
    const std::size_t end = is_blank ? a.length : unmasked;
    const float scale = is_blank ? 0.0f : 1.0f / std::sqrt(static_cast<float>(a.head_dim));
    const std::size_t stride = a.heads * a.head_dim;
    for (std::size_t r = 0; r < a.rows; r += kQueries) {
        const std::size_t at = (document * a.rows + r) * stride + head * a.head_dim;
#if defined(__AVX512BF16__)
        if constexpr (sizeof(T) == sizeof(Half)) {
            if (a.rows - r > kQueries / 2 && a.head_dim % QueryLanes::kMultiple == 0) {
                QueryLanes lanes(a.query + at, stride, smaller(kQueries, a.rows - r), a.head_dim,
                                 scale);
                for (std::size_t s = 0; s < end; s += QueryLanes::kBlock) {
                    const std::size_t keys = smaller(end - s, QueryLanes::kBlock);
                    const bool is_masked = !is_blank && has_holes(mask + s, keys);
                    lanes.attend(key + s * a.head_dim, value + s * a.head_dim, keys,
                                 is_masked ? mask + s : nullptr);
                }
                lanes.finish(a.output + at, stride);
                continue;
            }
        }
#endif
        Queries queries(a.query + at, stride, smaller(kQueries, a.rows - r), a.head_dim, scale);
        for (std::size_t s = 0; s < end; s += kBlock) {
            KeyBlock<T> block;
            const std::size_t stop = smaller(end, s + kBlock);
            for (std::size_t i = s; i < stop; ++i) {
                block.add(key + i * a.head_dim, value + i * a.head_dim);
            }
            const bool is_last = stop == end;  // then the next head's come
            block.ahead = is_last ? next_key : key + stop * a.head_dim;
            block.ahead_count = is_last ? next_count : end - stop;
            const bool is_masked = !is_blank && has_holes(mask + s, block.count);
            queries.attend(block, is_masked ? mask + s : nullptr);
        }
        queries.finish(a.output + at, stride);
    }
}

}  // namespace

void source_attention(const SourceAttention& a, const Threads& threads) {
    const std::size_t pairs = a.batch * a.heads;
    const std::size_t work = 2 * pairs * a.rows * a.length * a.head_dim;
    each_run(threads, pairs, work, [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) {
            if (a.is_half) {
                attend_head<Half>(a, i / a.heads, i % a.heads);
            } else {
                attend_head<float>(a, i / a.heads, i % a.heads);
            }
        }
    });
}

}  // namespace pegasus::PEGASUS_SET
