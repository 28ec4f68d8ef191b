// Self-attention of each beam's new token over the past of that beam, wherever it lies.
#include "attention_block.h"
#include "functions.h"
#include "keep_row.h"
#include "runs.h"

namespace pegasus::PEGASUS_SET {

namespace {

// The rows of a document together: beams have most of their past in common, which is in the
// nearest cache after the first of them.
template <class T>
void attend_head(const BeamAttention& a, std::size_t document, std::size_t head) {
    const std::size_t row_numbers = a.heads * a.capacity * a.head_dim;
    const std::size_t start = document * a.rows * row_numbers + head * a.capacity * a.head_dim;
    T* key = static_cast<T*>(a.key) + start;
    T* value = static_cast<T*>(a.value) + start;
    const float scale = 1.0f / std::sqrt(static_cast<float>(a.head_dim));
    for (std::size_t r = 0; r < a.rows; ++r) {
        const std::size_t row = document * a.rows + r;
        const std::size_t from = row * a.stride + head * a.head_dim;
        const std::size_t own = r * row_numbers + a.position * a.head_dim;
        keep_row(a.new_key + from, a.head_dim, key + own);
        keep_row(a.new_value + from, a.head_dim, value + own);
        const std::int32_t* beams = a.indirection + row * a.capacity;
        const std::int32_t* next = r + 1 < a.rows ? beams + a.capacity : beams;
        Queries queries(a.query + from, a.stride, 1, a.head_dim, scale);
        for (std::size_t t = 0; t <= a.position; t += kBlock) {
            KeyBlock<T> block;
            const std::size_t stop = smaller(a.position, t + kBlock);
            for (std::size_t i = t; i < stop; ++i) {
                const std::size_t at = static_cast<std::size_t>(beams[i]) * row_numbers +
                                       i * a.head_dim;
                block.add(key + at, value + at);
                if (next[i] == beams[i]) continue;
                const std::size_t then = static_cast<std::size_t>(next[i]) * row_numbers +
                                         i * a.head_dim;
                prefetch(key + then, a.head_dim * sizeof(T));
                prefetch(value + then, a.head_dim * sizeof(T));
            }
            if (block.count < kBlock) block.add(key + own, value + own);
            queries.attend(block, nullptr);
        }
        queries.finish(a.output + row * a.heads * a.head_dim + head * a.head_dim, a.head_dim);
    }
}

}  // namespace

void beam_attention(const BeamAttention& a, const Threads& threads) {
    const std::size_t pairs = a.batch * a.heads;
    // Memory in many places, and few queries to each key, take four times the multiplications.
    const std::size_t work = 8 * pairs * a.rows * (a.position + 8) * a.head_dim;
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
