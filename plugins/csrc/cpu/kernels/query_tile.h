// Attention of a tile of queries of one head to any keys, a chunk of them at a time, with the
// softmax that Milakov and Gimelshein 2018 (arXiv:1805.02867) keep up to date as keys come.
//
// Queries lie side by side in vectors, those of a panel in one row, and what is made of them too:
// keys and values are then spread over vectors as they are, one number at a time, and the softmax
// needs no sums across a vector.
#pragma once

#include <cstring>

#include "simd.h"

namespace pegasus::PEGASUS_SET {

#if defined(__AVX512F__)
inline constexpr std::size_t kTileRows = 4, kPanelVectors = 4;
#elif defined(__AVX2__)
inline constexpr std::size_t kTileRows = 6, kPanelVectors = 2;
#else
inline constexpr std::size_t kTileRows = 4, kPanelVectors = 4;
#endif
inline constexpr std::size_t kPanel = kPanelVectors * Floats::kWidth;  // queries
inline constexpr std::size_t kTileQueries = 64;
inline constexpr std::size_t kChunk = kTileRows == 6 ? 66 : 64;  // keys
inline constexpr float kLowest = -3.40282347e38f;

using Four = float __attribute__((vector_size(16)));

// to[c][r] = from[r][c], four by four where there are as many.
inline void transpose(const float* from, std::size_t from_stride, std::size_t rows,
                      std::size_t columns, float* to, std::size_t to_stride) {
    const std::size_t whole_rows = rows / 4 * 4, whole_columns = columns / 4 * 4;
    for (std::size_t r = 0; r < whole_rows; r += 4) {
        for (std::size_t c = 0; c < whole_columns; c += 4) {
            Four x[4];
            for (std::size_t i = 0; i < 4; ++i) {
                std::memcpy(&x[i], from + (r + i) * from_stride + c, sizeof(Four));
            }
            const Four low01 = __builtin_shufflevector(x[0], x[1], 0, 4, 1, 5);
            const Four low23 = __builtin_shufflevector(x[2], x[3], 0, 4, 1, 5);
            const Four high01 = __builtin_shufflevector(x[0], x[1], 2, 6, 3, 7);
            const Four high23 = __builtin_shufflevector(x[2], x[3], 2, 6, 3, 7);
            const Four y[4] = {__builtin_shufflevector(low01, low23, 0, 1, 4, 5),
                               __builtin_shufflevector(low01, low23, 2, 3, 6, 7),
                               __builtin_shufflevector(high01, high23, 0, 1, 4, 5),
                               __builtin_shufflevector(high01, high23, 2, 3, 6, 7)};
            for (std::size_t i = 0; i < 4; ++i) {
                std::memcpy(to + (c + i) * to_stride + r, &y[i], sizeof(Four));
            }
        }
    }
    for (std::size_t r = 0; r < rows; ++r) {
        for (std::size_t c = r < whole_rows ? whole_columns : 0; c < columns; ++c) {
            to[c * to_stride + r] = from[r * from_stride + c];
        }
    }
}

// scores[r][q] = bias[r] + the product of key r and query q, for kTileRows keys; largest[q] grows.
template <std::size_t kVectors>
inline void multiply_keys(const float* keys, std::size_t head_dim, const float* bias,
                          const float* queries, float* scores, float* largest) {
    Floats sums[kTileRows][kVectors];
    for (std::size_t r = 0; r < kTileRows; ++r) {
        for (std::size_t v = 0; v < kVectors; ++v) sums[r][v] = Floats::fill(bias[r]);
    }
    for (std::size_t d = 0; d < head_dim; ++d) {
        Floats query[kVectors];
        for (std::size_t v = 0; v < kVectors; ++v) {
            query[v] = Floats::load(queries + d * kPanel + v * Floats::kWidth);
        }
        for (std::size_t r = 0; r < kTileRows; ++r) {
            const Floats key = Floats::fill(keys[r * head_dim + d]);
            for (std::size_t v = 0; v < kVectors; ++v) {
                sums[r][v] = fused(key, query[v], sums[r][v]);
            }
        }
    }
    for (std::size_t v = 0; v < kVectors; ++v) {
        Floats most = Floats::load(largest + v * Floats::kWidth);
        for (std::size_t r = 0; r < kTileRows; ++r) {
            sums[r][v].store(scores + r * kPanel + v * Floats::kWidth);
            most = larger(most, sums[r][v]);
        }
        most.store(largest + v * Floats::kWidth);
    }
}

// attended[r][q] = attended[r][q] * kept[q] + the sum over keys of values[key][r] *
// weights[key][q], for kTileRows dimensions of the head.
template <std::size_t kVectors>
inline void multiply_values(const float* values, std::size_t stride, std::size_t keys,
                            const float* weights, const float* kept, float* attended) {
    Floats sums[kTileRows][kVectors];
    for (std::size_t v = 0; v < kVectors; ++v) {
        const Floats factor = Floats::load(kept + v * Floats::kWidth);
        for (std::size_t r = 0; r < kTileRows; ++r) {
            sums[r][v] = factor * Floats::load(attended + r * kPanel + v * Floats::kWidth);
        }
    }
    for (std::size_t k = 0; k < keys; ++k) {
        Floats weight[kVectors];
        for (std::size_t v = 0; v < kVectors; ++v) {
            weight[v] = Floats::load(weights + k * kPanel + v * Floats::kWidth);
        }
        for (std::size_t r = 0; r < kTileRows; ++r) {
            const Floats value = Floats::fill(values[k * stride + r]);
            for (std::size_t v = 0; v < kVectors; ++v) {
                sums[r][v] = fused(value, weight[v], sums[r][v]);
            }
        }
    }
    for (std::size_t r = 0; r < kTileRows; ++r) {
        for (std::size_t v = 0; v < kVectors; ++v) {
            sums[r][v].store(attended + r * kPanel + v * Floats::kWidth);
        }
    }
}

// Queries of one tile, and what they have attended to so far. Holds no memory of its own: `memory`
// is kFloats(head_dim) of them, aligned to 64 bytes.
class QueryTile {
  public:
    static std::size_t count_floats(std::size_t head_dim) {
        const std::size_t rows = round_up(head_dim);
        const std::size_t tile = kTileQueries + kPanel;
        const std::size_t all = tile * (head_dim + rows + 2) + kPanel + kChunkRows +
                                kChunkRows * (head_dim + rows + kPanel);
        return divide_up(all, 16) * 16 + 8 * 16;  // each of the parts begins with a line of cache
    }

    QueryTile(float* memory, std::size_t head_dim)
        : head_dim_(head_dim), value_stride_(round_up(head_dim)) {
        const auto take = [&](std::size_t count) {
            float* part = memory;
            memory += divide_up(count, 16) * 16;
            return part;
        };
        queries_ = take(kMost * head_dim);
        attended_ = take(kMost * value_stride_);
        keys_ = take(kChunkRows * head_dim);
        values_ = take(kChunkRows * value_stride_);
        scores_ = take(kChunkRows * kPanel);
        bias_ = take(kChunkRows);
        largest_ = take(kMost);
        sums_ = take(kMost);
        kept_ = take(kPanel);
        std::memset(values_, 0, kChunkRows * value_stride_ * sizeof(float));
    }

    // count <= kTileQueries rows, `stride` floats apart.
    void begin(const float* query, std::size_t stride, std::size_t count, float scale) {
        count_ = count;
        if (count % kPanel != 0) std::memset(queries_, 0, kMost * head_dim_ * sizeof(float));
        for (std::size_t q = 0; q < count; q += kPanel) {
            transpose(query + q * stride, stride, smaller(kPanel, count - q), head_dim_,
                      queries_ + q * head_dim_, kPanel);
        }
        // The softmax is one of powers of two.
        const Floats factor = Floats::fill(scale * 1.44269504088896341f);
        for (std::size_t i = 0; i < kMost * head_dim_; i += Floats::kWidth) {
            (factor * Floats::load(queries_ + i)).store(queries_ + i);
        }
        std::memset(attended_, 0, kMost * value_stride_ * sizeof(float));
        for (std::size_t q = 0; q < kMost; ++q) {
            largest_[q] = kLowest;
            sums_[q] = 0.0f;
        }
    }

    // One more key and value, with what is added to its scores in units of log 2.
    void see(const float* key, const float* value, float bias) {
        next_[listed_] = {key, value, bias};
        if (++listed_ == kChunk) advance();
    }

    // Writes what the queries have attended to, rows `stride` apart.
    void finish(float* output, std::size_t stride) {
        advance();
        advance();
        for (std::size_t q = 0; q < count_; q += kPanel) {
            float* attended = attended_ + q * value_stride_;
            for (std::size_t v = 0; v < kPanel; v += Floats::kWidth) {
                const Floats share = Floats::fill(1.0f) / Floats::load(sums_ + q + v);
                for (std::size_t d = 0; d < head_dim_; ++d) {
                    float* at = attended + d * kPanel + v;
                    (share * Floats::load(at)).store(at);
                }
            }
            transpose(attended, kPanel, head_dim_, smaller(kPanel, count_ - q),
                      output + q * stride, stride);
        }
    }

  private:
    static constexpr std::size_t kMost = (kTileQueries + kPanel - 1) / kPanel * kPanel;
    static constexpr std::size_t kChunkRows = (kChunk + kTileRows - 1) / kTileRows * kTileRows;

    static std::size_t round_up(std::size_t rows) { return divide_up(rows, kTileRows) * kTileRows; }

    void copy(const float* from, float* to) const {
        std::size_t d = 0;
        for (; d + Floats::kWidth <= head_dim_; d += Floats::kWidth) {
            Floats::load(from + d).store(to + d);
        }
        for (; d < head_dim_; ++d) to[d] = from[d];
    }

    // Attends to the keys that have been copied, while those listed come from memory, and copies
    // these: rows of a head lie far apart, and would push each other out of a cache.
    void advance() {
        if (filled_ > 0) attend();
        for (std::size_t k = 0; k < listed_; ++k) {
            copy(next_[k].key, keys_ + k * head_dim_);
            copy(next_[k].value, values_ + k * value_stride_);
            bias_[k] = next_[k].bias;
        }
        filled_ = listed_;
        listed_ = 0;
    }

    void fetch(std::size_t begin) const {
        const std::size_t end = smaller(begin + kTileRows, listed_);
        for (std::size_t k = begin; k < end; ++k) {
            for (std::size_t d = 0; d < head_dim_; d += 16) {
                __builtin_prefetch(next_[k].key + d, 0, 2);
                __builtin_prefetch(next_[k].value + d, 0, 2);
            }
        }
    }

    void attend() {
        // Keys that fill up the last rows score nothing.
        for (std::size_t k = filled_; k % kTileRows != 0; ++k) {
            std::memset(keys_ + k * head_dim_, 0, head_dim_ * sizeof(float));
            bias_[k] = kLowest;
        }
        for (std::size_t q = 0; q < count_; q += kPanel) {
            switch (divide_up(smaller(count_ - q, kPanel), Floats::kWidth)) {
                case 1: attend_panel<1>(q); break;
                case 2: attend_panel<2>(q); break;
                case 3: attend_panel<smaller<std::size_t>(3, kPanelVectors)>(q); break;
                default: attend_panel<kPanelVectors>(q);
            }
        }
    }

    template <std::size_t kVectors>
    void attend_panel(std::size_t first) {
        const float* queries = queries_ + first * head_dim_;
        float* attended = attended_ + first * value_stride_;
        Floats before[kVectors];
        for (std::size_t v = 0; v < kVectors; ++v) {
            before[v] = Floats::load(largest_ + first + v * Floats::kWidth);
        }
        for (std::size_t k = 0; k < filled_; k += kTileRows) {
            if (first == 0) fetch(k);
            multiply_keys<kVectors>(keys_ + k * head_dim_, head_dim_, bias_ + k, queries,
                                    scores_ + k * kPanel, largest_ + first);
        }
        weigh<kVectors>(before, largest_ + first, sums_ + first);
        for (std::size_t d = 0; d < head_dim_; d += kTileRows) {
            multiply_values<kVectors>(values_ + d, value_stride_, filled_, scores_, kept_,
                                      attended + d * kPanel);
        }
    }

    // Scores become weights, and sums their sums; kept_ is what is left of earlier weights.
    template <std::size_t kVectors>
    void weigh(const Floats* before, const float* largest, float* sums) {
        Floats most[kVectors], sum[kVectors];
        for (std::size_t v = 0; v < kVectors; ++v) {
            most[v] = Floats::load(largest + v * Floats::kWidth);
            const Floats kept = power_of_two(before[v] - most[v]);
            kept.store(kept_ + v * Floats::kWidth);
            sum[v] = kept * Floats::load(sums + v * Floats::kWidth);
        }
        for (std::size_t k = 0; k < filled_; ++k) {
            for (std::size_t v = 0; v < kVectors; ++v) {
                float* score = scores_ + k * kPanel + v * Floats::kWidth;
                const Floats weight = power_of_two(Floats::load(score) - most[v]);
                weight.store(score);
                sum[v] = sum[v] + weight;
            }
        }
        for (std::size_t v = 0; v < kVectors; ++v) sum[v].store(sums + v * Floats::kWidth);
    }

    std::size_t head_dim_, value_stride_;
    std::size_t count_ = 0;   // queries
    std::size_t filled_ = 0;  // keys that have been copied
    std::size_t listed_ = 0;  // keys of the next chunk
    struct Row {
        const float* key;
        const float* value;
        float bias;
    } next_[kChunk];
    float* queries_;          // [panels, Dh, kPanel], scaled
    float* attended_;         // [panels, value_stride_, kPanel]
    float* keys_;             // [kChunkRows, Dh]
    float* values_;           // [kChunkRows, value_stride_]
    float* scores_;           // [kChunkRows, kPanel]
    float* bias_;             // [kChunkRows]
    float* largest_;          // [panels, kPanel] of scores, as are sums_ of weights
    float* sums_;
    float* kept_;  // [kPanel]
};

}  // namespace pegasus::PEGASUS_SET
