// Softmax attention of eight queries of one head over keys and values that are kept as bfloat16:
// each query in a lane of its own, and two numbers of a key multiplied at once. Queries and weights
// are rounded as keys and values are; sums are floats.
#pragma once

#include "products.h"

#if defined(__AVX512BF16__)

namespace pegasus::PEGASUS_SET {

class QueryLanes {
  public:
    static constexpr std::size_t kQueries = 8;
    static constexpr std::size_t kBlock = 32;     // keys
    static constexpr std::size_t kMultiple = 32;  // of which heads are

    // query [count, stride], at most kQueries of them. Lanes beyond have zeros.
    QueryLanes(const float* query, std::size_t stride, std::size_t count, std::size_t head_dim,
               float scale)
        : count_(count), head_dim_(head_dim) {
        std::memset(mixed_, 0, head_dim * kQueries * sizeof(float));
        transpose(query, stride, count, head_dim, mixed_, kQueries);
        const __m256 factor = _mm256_set1_ps(scale);
        for (std::size_t d = 0; d < head_dim; d += 2) {
            store_pairs(_mm256_mul_ps(factor, _mm256_load_ps(mixed_ + d * kQueries)),
                        _mm256_mul_ps(factor, _mm256_load_ps(mixed_ + (d + 1) * kQueries)),
                        queries_ + d * kQueries);
        }
        std::memset(mixed_, 0, head_dim * kQueries * sizeof(float));
    }

    // keys and values [count <= kBlock, Dh]; mask [count]: 0 where a key is padding; or null.
    void attend(const Half* keys, const Half* values, std::size_t count,
                const std::int64_t* mask) {
        std::size_t k = 0;
        for (; k + kTile <= count; k += kTile) score<kTile>(keys, k);
        for (; k < count; ++k) score<1>(keys, k);
        weigh(count, mask);
        pair_values(values, count);
        for (std::size_t d = 0; d < head_dim_; d += kTile) mix(divide_up(count, 2), d);
    }

    // output [count, stride].
    void finish(float* output, std::size_t stride) {
        const __m256 factor = _mm256_div_ps(_mm256_set1_ps(1.0f), total_);
        for (std::size_t i = 0; i < head_dim_ * kQueries; i += kQueries) {
            _mm256_store_ps(mixed_ + i, _mm256_mul_ps(_mm256_load_ps(mixed_ + i), factor));
        }
        transpose(mixed_, kQueries, head_dim_, count_, output, stride);
    }

  private:
    static constexpr std::size_t kTile = 8;  // sums, as many as hide how long each takes
    static constexpr float kLowest = -3.402823466e+38f;

    static __m256bh as_pairs(__m256i x) { return reinterpret_cast<__m256bh>(x); }

    // Lane by lane one of each, rounded.
    static void store_pairs(__m256 a, __m256 b, Half* to) {
        const auto x = reinterpret_cast<__m128i>(_mm256_cvtneps_pbh(a));
        const auto y = reinterpret_cast<__m128i>(_mm256_cvtneps_pbh(b));
        _mm_store_si128(reinterpret_cast<__m128i*>(to), _mm_unpacklo_epi16(x, y));
        _mm_store_si128(reinterpret_cast<__m128i*>(to + kQueries), _mm_unpackhi_epi16(x, y));
    }

    // Two neighbours in each lane.
    static __m256bh fill_pair(const Half* at) {
        std::int32_t pair;
        std::memcpy(&pair, at, sizeof pair);
        return as_pairs(_mm256_set1_epi32(pair));
    }

    template <std::size_t kKeys>
    void score(const Half* rows, std::size_t k) {
        __m256 sums[kKeys];
        const std::size_t stride = head_dim_;
        const Half* thirds[(kKeys + 2) / 3];  // the addresses of three rows need one register
#pragma GCC unroll 8
        for (std::size_t i = 0; i < kKeys; ++i) sums[i] = _mm256_setzero_ps();
#pragma GCC unroll 4
        for (std::size_t i = 0; i < kKeys; i += 3) thirds[i / 3] = rows + (k + i) * stride;
        const Half* query = queries_;
        for (const Half* end = query + head_dim_ * kQueries; query < end; query += 2 * kQueries) {
            const __m256bh pairs =
                as_pairs(_mm256_load_si256(reinterpret_cast<const __m256i*>(query)));
#pragma GCC unroll 8
            for (std::size_t i = 0; i < kKeys; ++i) {
                sums[i] = _mm256_dpbf16_ps(sums[i], pairs,
                                           fill_pair(thirds[i / 3] + i % 3 * stride));
            }
#pragma GCC unroll 4
            for (std::size_t i = 0; i < kKeys; i += 3) thirds[i / 3] += 2;
        }
#pragma GCC unroll 8
        for (std::size_t i = 0; i < kKeys; ++i) {
            _mm256_store_ps(scores_ + (k + i) * kQueries, sums[i]);
        }
    }

    // Scores -> weights, two keys' side by side.
    void weigh(std::size_t count, const std::int64_t* mask) {
        __m256 top = largest_;
        for (std::size_t k = 0; k < count; ++k) {
            __m256 score = _mm256_load_ps(scores_ + k * kQueries);
            if (mask && mask[k] == 0) score = _mm256_add_ps(score, _mm256_set1_ps(kLowest));
            _mm256_store_ps(scores_ + k * kQueries, score);
            top = _mm256_max_ps(top, score);
        }
        if (count % 2 != 0) {  // beside the last one that weighs as padding does
            _mm256_store_ps(scores_ + count * kQueries, _mm256_set1_ps(kLowest));
        }
        // Two keys to a vector: lanes of the one, and lanes of the other.
        const Floats tops{_mm512_broadcast_f32x8(top)};
        Floats sum = Floats::zero();
        for (std::size_t k = 0; k < count; k += 2) {
            const Floats score = Floats::load(scores_ + k * kQueries);
            // Zero times an infinite score is NaN, lest one below all others vanishes unseen.
            const Floats weight = fused(score, Floats::zero(), exponential(score - tops));
            sum = sum + weight;
            store_pairs(_mm512_castps512_ps256(weight.v), _mm512_extractf32x8_ps(weight.v, 1),
                        weights_ + k * kQueries);
        }
        decay_ = _mm512_castps512_ps256(
            exponential(Floats{_mm512_broadcast_f32x8(_mm256_sub_ps(largest_, top))}).v);
        largest_ = top;
        total_ = _mm256_fmadd_ps(total_, decay_,
                                 _mm256_add_ps(_mm512_castps512_ps256(sum.v),
                                               _mm512_extractf32x8_ps(sum.v, 1)));
    }

    // values [count, Dh] -> [count / 2, Dh, 2]: the numbers of two rows side by side.
    void pair_values(const Half* values, std::size_t count) {
        const __m512i low = _mm512_loadu_si512(kLow), high = _mm512_loadu_si512(kHigh);
        for (std::size_t k = 0; k < count; k += 2) {
            const Half* row = values + k * head_dim_;
            const Half* next = k + 1 < count ? row + head_dim_ : row;
            Half* to = values_ + k * head_dim_;
            for (std::size_t d = 0; d < head_dim_; d += kMultiple) {
                const __m512i a = _mm512_loadu_si512(row + d), b = _mm512_loadu_si512(next + d);
                _mm512_store_si512(to + 2 * d, _mm512_permutex2var_epi16(a, low, b));
                _mm512_store_si512(to + 2 * d + kMultiple, _mm512_permutex2var_epi16(a, high, b));
            }
        }
    }

    // kTile numbers of the head, from d on.
    void mix(std::size_t pairs, std::size_t d) {
        __m256 sums[kTile];
        float* to = mixed_ + d * kQueries;
        for (std::size_t i = 0; i < kTile; ++i) {
            sums[i] = _mm256_mul_ps(decay_, _mm256_load_ps(to + i * kQueries));
        }
        const Half* value = values_ + 2 * d;
        for (std::size_t pair = 0; pair < pairs; ++pair, value += 2 * head_dim_) {
            const __m256bh weight = as_pairs(_mm256_load_si256(
                reinterpret_cast<const __m256i*>(weights_ + pair * 2 * kQueries)));
            for (std::size_t i = 0; i < kTile; ++i) {
                sums[i] = _mm256_dpbf16_ps(sums[i], weight, fill_pair(value + 2 * i));
            }
        }
        for (std::size_t i = 0; i < kTile; ++i) _mm256_store_ps(to + i * kQueries, sums[i]);
    }

    static constexpr Half kLow[32] = {0, 32, 1, 33, 2,  34, 3,  35, 4,  36, 5,  37, 6,  38, 7,  39,
                                      8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
    static constexpr Half kHigh[32] = {16, 48, 17, 49, 18, 50, 19, 51, 20, 52, 21,
                                       53, 22, 54, 23, 55, 24, 56, 25, 57, 26, 58,
                                       27, 59, 28, 60, 29, 61, 30, 62, 31, 63};

    std::size_t count_, head_dim_;
    __m256 largest_ = _mm256_set1_ps(-HUGE_VALF), total_ = _mm256_setzero_ps(), decay_;
    alignas(64) float scores_[(kBlock + 1) * kQueries];
    alignas(64) Half weights_[(kBlock + 1) * kQueries];     // [keys / 2, kQueries, 2]
    alignas(64) Half queries_[kMaxHeadDim * kQueries];      // [Dh / 2, kQueries, 2], scaled
    alignas(64) float mixed_[kMaxHeadDim * kQueries];       // [Dh, kQueries]
    alignas(64) Half values_[(kBlock + 1) * kMaxHeadDim];   // [keys / 2, Dh, 2]
};

}  // namespace pegasus::PEGASUS_SET

#endif
