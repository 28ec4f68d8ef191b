// Products of tiles of a matrix with queries that lie side by side in vectors: all that attention
// of many queries takes time for. Keys and values are spread over vectors as they are, one number
// at a time, so that neither is transposed, and the softmax needs no sums across a vector.
#pragma once

#include <cstring>

#include "simd.h"

namespace pegasus::PEGASUS_SET {

// As many sums as registers hold beside what is multiplied.
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
    for (std::size_t r = 0; r < kTileRows; ++r) {
        for (std::size_t v = 0; v < kVectors; ++v) sums[r][v] = Floats::zero();
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
    for (std::size_t v = 0; v < kVectors; ++v) {
        const Floats factor = Floats::load(kept + v * Floats::kWidth);
        for (std::size_t r = 0; r < kTileRows; ++r) {
            float* at = attended + r * kPanel + v * Floats::kWidth;
            fused(factor, Floats::load(at), sums[r][v]).store(at);
        }
    }
}

}  // namespace pegasus::PEGASUS_SET
