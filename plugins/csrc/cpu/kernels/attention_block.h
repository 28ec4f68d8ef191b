// Softmax attention of a few queries over keys that come in blocks: each block's scores, the
// weights under the largest score so far, and the weighted sum of the values.
#pragma once

#include "simd.h"

namespace pegasus::PEGASUS_SET {

inline constexpr std::size_t kQueries = 8;  // that share each key loaded
inline constexpr std::size_t kBlock = 64;   // keys
// From a query to the next: known when compiled, and no multiple of what a cache's ways repeat at.
inline constexpr std::size_t kStride = kMaxHeadDim + 16;
inline constexpr float kLowest = -3.402823466e+38f;

// Where a block's keys and values lie.
template <class T>
struct KeyBlock {
    const T* keys[kBlock];
    const T* values[kBlock];
    std::size_t count = 0;
    const T* ahead = nullptr;  // keys that come next, one after the other, are fetched meanwhile
    std::size_t ahead_count = 0;

    void add(const T* key, const T* value) {
        keys[count] = key;
        values[count] = value;
        ++count;
    }
};

inline void prefetch(const void* start, std::size_t bytes) {
    const char* at = static_cast<const char*>(start);
    for (std::size_t i = 0; i < bytes; i += 64) __builtin_prefetch(at + i);
}

// Keys whose scores are computed together: no more than there are registers for their addresses.
template <std::size_t Rows>
inline constexpr std::size_t kKeysOf = smaller(kTile / Rows, std::size_t{8});

// scores [Rows, kBlock] of kKeysOf<Rows> keys.
template <std::size_t Rows, class T>
inline void score_tile(const float* query, const T* const* keys, std::size_t head_dim,
                       float* scores) {
    constexpr std::size_t kKeys = kKeysOf<Rows>;
    Floats tile[kTile];  // [Rows, kKeys], and zeros
    for (Floats& each : tile) each = Floats::zero();
    std::size_t d = 0;
    for (; d + Floats::kWidth <= head_dim; d += Floats::kWidth) {
        Floats key[kKeys];
        for (std::size_t k = 0; k < kKeys; ++k) key[k] = Floats::load(keys[k] + d);
        for (std::size_t r = 0; r < Rows; ++r) {
            Floats q = Floats::load(query + r * kStride + d);
            keep_in_register(q);
            for (std::size_t k = 0; k < kKeys; ++k) {
                tile[r * kKeys + k] = fused(q, key[k], tile[r * kKeys + k]);
            }
        }
    }
    if (const std::size_t rest = head_dim - d; rest != 0) {
        for (std::size_t r = 0; r < Rows; ++r) {
            const Floats q = Floats::load_some(query + r * kStride + d, rest);
            for (std::size_t k = 0; k < kKeys; ++k) {
                tile[r * kKeys + k] =
                    fused(q, Floats::load_some(keys[k] + d, rest), tile[r * kKeys + k]);
            }
        }
    }
    float found[kTile];
    for (std::size_t i = 0; i < kTile; i += Floats::kWidth) sums(tile + i).store(found + i);
    for (std::size_t r = 0; r < Rows; ++r) {
        for (std::size_t k = 0; k < kKeys; ++k) scores[r * kBlock + k] = found[r * kKeys + k];
    }
}

// mixed [Rows, head_dim] = decay [Rows] * mixed + weights [Rows, kBlock] * values, in the columns
// from `d` on: Chunks vectors of them.
template <std::size_t Rows, std::size_t Chunks, class T>
inline void mix_tile(const float* weights, const float* decay, const T* const* values,
                     std::size_t count, std::size_t d, float* mixed) {
    constexpr std::size_t kWidth = Floats::kWidth;
    Floats tile[Rows * Chunks];
    for (std::size_t r = 0; r < Rows; ++r) {
        const Floats factor = Floats::fill(decay[r]);
        for (std::size_t c = 0; c < Chunks; ++c) {
            tile[r * Chunks + c] = factor * Floats::load(mixed + r * kStride + d + c * kWidth);
        }
    }
    for (std::size_t i = 0; i < count; ++i) {
        Floats value[Chunks];
        for (std::size_t c = 0; c < Chunks; ++c) {
            value[c] = Floats::load(values[i] + d + c * kWidth);
        }
        for (std::size_t r = 0; r < Rows; ++r) {
            const Floats weight = Floats::fill(weights[r * kBlock + i]);
            for (std::size_t c = 0; c < Chunks; ++c) {
                tile[r * Chunks + c] = fused(weight, value[c], tile[r * Chunks + c]);
            }
        }
    }
    for (std::size_t r = 0; r < Rows; ++r) {
        for (std::size_t c = 0; c < Chunks; ++c) {
            tile[r * Chunks + c].store(mixed + r * kStride + d + c * kWidth);
        }
    }
}

// The same in the last columns, fewer than a vector has.
template <class T>
inline void mix_rest(std::size_t rows, const float* weights, const float* decay,
                     const T* const* values, std::size_t count, std::size_t head_dim,
                     std::size_t d, float* mixed) {
    const std::size_t rest = head_dim - d;
    for (std::size_t r = 0; r < rows; ++r) {
        float* to = mixed + r * kStride + d;
        Floats sum = Floats::fill(decay[r]) * Floats::load_some(to, rest);
        for (std::size_t i = 0; i < count; ++i) {
            sum = fused(Floats::fill(weights[r * kBlock + i]),
                        Floats::load_some(values[i] + d, rest), sum);
        }
        sum.store_some(to, rest);
    }
}

// Up to kQueries queries of one head.
class Queries {
  public:
    // query [count, stride] -> scaled copies.
    Queries(const float* query, std::size_t stride, std::size_t count, std::size_t head_dim,
            float scale)
        : count(count), head_dim(head_dim) {
        for (std::size_t r = 0; r < count; ++r) {
            largest[r] = -HUGE_VALF;
            total[r] = 0;
            for (std::size_t d = 0; d < head_dim; ++d) {
                scaled_query[r * kStride + d] = query[r * stride + d] * scale;
                mixed[r * kStride + d] = 0;
            }
        }
    }

    // mask [block.count]: 0 where a key is padding; or null.
    template <class T>
    void attend(KeyBlock<T>& block, const std::int64_t* mask) {
        for (std::size_t i = block.count; i < kBlock && i % kTile != 0; ++i) {
            block.keys[i] = block.keys[0];
            block.values[i] = block.values[0];
        }
        each_tile<kScoredRows>([&]<std::size_t Rows>(std::size_t r) {
            for (std::size_t i = 0; i < block.count; i += kKeysOf<Rows>) {
                for (std::size_t k = i; k < i + kKeysOf<Rows>; ++k) {
                    if (r == 0) prefetch(block.values[k], head_dim * sizeof(T));
                    if (r + Rows == count && k < block.ahead_count)
                        prefetch(block.ahead + k * head_dim, head_dim * sizeof(T));
                }
                score_tile<Rows>(scaled_query + r * kStride, block.keys + i, head_dim,
                                 scores + r * kBlock + i);
            }
        });
        for (std::size_t r = 0; r < count; ++r) weigh(r, block.count, mask);
        each_tile<4>([&]<std::size_t Rows>(std::size_t r) { mix<Rows>(r, block); });
    }

    void finish(float* output, std::size_t stride) const {
        for (std::size_t r = 0; r < count; ++r) {
            const float factor = 1.0f / total[r];
            for (std::size_t d = 0; d < head_dim; ++d) {
                output[r * stride + d] = mixed[r * kStride + d] * factor;
            }
        }
    }

  private:
    // Rows that are scored together, so that a key is loaded once; with few registers, half of them.
    static constexpr std::size_t kScoredRows = kTile < 16 ? 4 : 8;

    template <std::size_t Most, class Tile>
    void each_tile(Tile&& tile) const {
        std::size_t r = 0;
        if constexpr (Most == 8) {
            for (; r + 8 <= count; r += 8) tile.template operator()<8>(r);
        }
        for (; r + 4 <= count; r += 4) tile.template operator()<4>(r);
        for (; r + 2 <= count; r += 2) tile.template operator()<2>(r);
        for (; r < count; ++r) tile.template operator()<1>(r);
    }

    // Scores of a row -> weights, where they lie.
    void weigh(std::size_t r, std::size_t keys, const std::int64_t* mask) {
        float* row = scores + r * kBlock;
        const std::size_t end = divide_up(keys, Floats::kWidth) * Floats::kWidth;
        for (std::size_t i = keys; i < end; ++i) row[i] = kLowest;
        if (mask) {
            for (std::size_t i = 0; i < keys; ++i) row[i] += mask[i] == 0 ? kLowest : 0.0f;
        }
        Floats top = Floats::fill(largest[r]);
        for (std::size_t i = 0; i < end; i += Floats::kWidth) {
            top = larger(top, Floats::load(row + i));
        }
        const float before = largest[r];
        largest[r] = top.largest();
        const Floats shift = Floats::fill(largest[r]);
        Floats sum = Floats::zero();
        for (std::size_t i = 0; i < end; i += Floats::kWidth) {
            const Floats score = Floats::load(row + i);
            // Zero times an infinite score is NaN, lest one below all others vanishes unseen.
            const Floats weight = fused(score, Floats::zero(), exponential(score - shift));
            weight.store(row + i);
            sum = sum + weight;
        }
        float factor[Floats::kWidth];
        exponential(Floats::fill(before) - shift).store(factor);
        decay[r] = factor[0];
        total[r] = total[r] * decay[r] + sum.sum();
    }

    template <std::size_t Rows, class T>
    void mix(std::size_t r, const KeyBlock<T>& block) {
        constexpr std::size_t kChunks = smaller(kTile / Rows, std::size_t{4});
        const float* weights = scores + r * kBlock;
        float* to = mixed + r * kStride;
        std::size_t d = 0;
        for (; d + kChunks * Floats::kWidth <= head_dim; d += kChunks * Floats::kWidth) {
            mix_tile<Rows, kChunks>(weights, decay + r, block.values, block.count, d, to);
        }
        for (; d + Floats::kWidth <= head_dim; d += Floats::kWidth) {
            mix_tile<Rows, 1>(weights, decay + r, block.values, block.count, d, to);
        }
        if (d < head_dim) {
            mix_rest(Rows, weights, decay + r, block.values, block.count, head_dim, d, to);
        }
    }

    std::size_t count, head_dim;
    float largest[kQueries], total[kQueries], decay[kQueries];
    float scores[kQueries * kBlock];
    float scaled_query[kQueries * kStride];  // [count, head_dim], as is
    float mixed[kQueries * kStride];
};

}  // namespace pegasus::PEGASUS_SET
