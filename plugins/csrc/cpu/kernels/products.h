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

// What a word of keys, queries, weights and values holds: a float.
struct OneFloat {
    static constexpr std::size_t kNumbers = 1;
    static Floats add_product(Floats a, Floats b, Floats sum) { return fused(a, b, sum); }
    // Rows of floats are rows of words as they are.
    static void make_words(float*, std::size_t, std::size_t) {}
};

#if defined(__AVX512BF16__)
// Or two of bfloat16, of which products are added together.
struct TwoBfloat16 {
    static constexpr std::size_t kNumbers = 2;
    static Floats add_product(Floats a, Floats b, Floats sum) {
        return {_mm512_dpbf16_ps(sum.v, reinterpret_cast<__m512bh>(a.v),
                                 reinterpret_cast<__m512bh>(b.v))};
    }

    // rows [count, width] -> [ceil(count / 2), width] in place, each word two rows' numbers; what is
    // beside the last row of an odd number is zero.
    static void make_words(float* rows, std::size_t count, std::size_t width) {
        for (std::size_t k = 0; k < count; k += 2) {
            const float* first = rows + k * width;
            for (std::size_t i = 0; i < width; i += Floats::kWidth) {
                const std::size_t n = smaller(width - i, Floats::kWidth);
                const auto load = [&](const float* row) {
                    const Floats x = n < Floats::kWidth ? Floats::load_some(row + i, n)
                                                        : Floats::load(row + i);
                    return _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x.v)));
                };
                const __m512i low = load(first);
                const __m512i high = k + 1 < count ? load(first + width) : _mm512_setzero_si512();
                const Floats words{
                    _mm512_castsi512_ps(_mm512_or_si512(low, _mm512_slli_epi32(high, 16)))};
                float* to = rows + k / 2 * width + i;
                if (n < Floats::kWidth) {
                    words.store_some(to, n);
                } else {
                    words.store(to);
                }
            }
        }
    }
};

#endif

// scores[r][q] = bias[r] + the product of key r, of `words`, and query q, for kTileRows keys, which
// lie `stride` apart; largest[q] grows.
template <std::size_t kVectors, class Word>
inline void multiply_keys(const float* keys, std::size_t stride, std::size_t words,
                          const float* bias, const float* queries, float* scores,
                          float* largest) {
    Floats sums[kTileRows][kVectors];
    for (std::size_t r = 0; r < kTileRows; ++r) {
        for (std::size_t v = 0; v < kVectors; ++v) sums[r][v] = Floats::fill(bias[r]);
    }
    for (std::size_t d = 0; d < words; ++d) {
        Floats query[kVectors];
        for (std::size_t v = 0; v < kVectors; ++v) {
            query[v] = Floats::load(queries + d * kPanel + v * Floats::kWidth);
        }
        for (std::size_t r = 0; r < kTileRows; ++r) {
            const Floats key = Floats::fill(keys[r * stride + d]);
            for (std::size_t v = 0; v < kVectors; ++v) {
                sums[r][v] = Word::add_product(key, query[v], sums[r][v]);
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

// attended[r][q] = attended[r][q] * kept[q] + the sum over words of values[word][r] *
// weights[word][q], for kTileRows dimensions of the head.
template <std::size_t kVectors, class Word>
inline void multiply_values(const float* values, std::size_t stride, std::size_t words,
                            const float* weights, const float* kept, float* attended) {
    Floats sums[kTileRows][kVectors];
    for (std::size_t r = 0; r < kTileRows; ++r) {
        for (std::size_t v = 0; v < kVectors; ++v) sums[r][v] = Floats::zero();
    }
    for (std::size_t k = 0; k < words; ++k) {
        Floats weight[kVectors];
        for (std::size_t v = 0; v < kVectors; ++v) {
            weight[v] = Floats::load(weights + k * kPanel + v * Floats::kWidth);
        }
        for (std::size_t r = 0; r < kTileRows; ++r) {
            const Floats value = Floats::fill(values[k * stride + r]);
            for (std::size_t v = 0; v < kVectors; ++v) {
                sums[r][v] = Word::add_product(value, weight[v], sums[r][v]);
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
