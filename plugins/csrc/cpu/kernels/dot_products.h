// Tiles of an int8 product: rows of 8-bit activations by a panel of 32 columns.
#pragma once

#include "simd.h"

namespace pegasus::PEGASUS_SET {

using Byte = std::uint8_t;

inline std::int32_t four_bytes(const Byte* p) {
    std::int32_t word;
    __builtin_memcpy(&word, p, sizeof word);
    return word;
}

// sums[r][n] = sum over k of rows[r][k] * panel[k][n], k < 4 * groups; `stride` bytes from a row to
// the next. Exact: nothing overflows or saturates.

#if defined(__AVX512VNNI__)

template <int kRows>
inline void multiply_tile(const Byte* rows, std::size_t stride, const std::int8_t* panel,
                          std::size_t groups, std::int32_t sums[][kPanelColumns]) {
    __m512i left[kRows], right[kRows];
    for (int r = 0; r < kRows; ++r) left[r] = right[r] = _mm512_setzero_si512();
    for (std::size_t group = 0; group < groups; ++group) {
        const __m512i a = _mm512_load_si512(panel), b = _mm512_load_si512(panel + 64);
        panel += 128;
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
            const __m512i x = _mm512_set1_epi32(four_bytes(rows + r * stride + group * 4));
            left[r] = _mm512_dpbusd_epi32(left[r], x, a);
            right[r] = _mm512_dpbusd_epi32(right[r], x, b);
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
        _mm512_storeu_si512(sums[r], left[r]);
        _mm512_storeu_si512(sums[r] + 16, right[r]);
    }
}

inline constexpr int kTileRows = 12;

#elif defined(__AVX2__)

// Two columns of vectors at a time: 8 sums are as many as there are registers for.
template <int kRows>
inline void multiply_half(const Byte* rows, std::size_t stride, const std::int8_t* panel,
                          std::size_t groups, std::int32_t* sums) {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i left[kRows], right[kRows];
    for (int r = 0; r < kRows; ++r) left[r] = right[r] = _mm256_setzero_si256();
    for (std::size_t group = 0; group < groups; ++group) {
        const __m256i a = _mm256_load_si256(reinterpret_cast<const __m256i*>(panel));
        const __m256i b = _mm256_load_si256(reinterpret_cast<const __m256i*>(panel + 32));
        panel += 128;
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
            const __m256i x = _mm256_set1_epi32(four_bytes(rows + r * stride + group * 4));
            const __m256i pa = _mm256_madd_epi16(_mm256_maddubs_epi16(x, a), ones);
            const __m256i pb = _mm256_madd_epi16(_mm256_maddubs_epi16(x, b), ones);
            left[r] = _mm256_add_epi32(left[r], pa);
            right[r] = _mm256_add_epi32(right[r], pb);
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums + r * kPanelColumns), left[r]);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums + r * kPanelColumns + 8), right[r]);
    }
}

template <int kRows>
inline void multiply_tile(const Byte* rows, std::size_t stride, const std::int8_t* panel,
                          std::size_t groups, std::int32_t sums[][kPanelColumns]) {
    multiply_half<kRows>(rows, stride, panel, groups, sums[0]);
    multiply_half<kRows>(rows, stride, panel + 64, groups, sums[0] + 16);
}

inline constexpr int kTileRows = 4;

#elif defined(__ARM_NEON)

// Products of signed bytes: 128 is taken from the activations here, and given back by the caller's
// correction, which is told so by kIsSigned.
template <int kRows>
inline void multiply_half(const Byte* rows, std::size_t stride, const std::int8_t* panel,
                          std::size_t groups, std::int32_t* sums) {
    int32x4_t found[kRows][4];
    for (int r = 0; r < kRows; ++r)
        for (int v = 0; v < 4; ++v) found[r][v] = vdupq_n_s32(0);
    for (std::size_t group = 0; group < groups; ++group, panel += 128) {
        int8x16_t columns[4];
        for (int v = 0; v < 4; ++v) columns[v] = vld1q_s8(panel + v * 16);
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
            const std::int32_t word = four_bytes(rows + r * stride + group * 4);
            const int8x16_t x = vreinterpretq_s8_s32(vdupq_n_s32(word ^ 0x80808080));
            for (int v = 0; v < 4; ++v) found[r][v] = vdotq_s32(found[r][v], x, columns[v]);
        }
    }
    for (int r = 0; r < kRows; ++r)
        for (int v = 0; v < 4; ++v) vst1q_s32(sums + r * kPanelColumns + v * 4, found[r][v]);
}

template <int kRows>
inline void multiply_tile(const Byte* rows, std::size_t stride, const std::int8_t* panel,
                          std::size_t groups, std::int32_t sums[][kPanelColumns]) {
    multiply_half<kRows>(rows, stride, panel, groups, sums[0]);
    multiply_half<kRows>(rows, stride, panel + 64, groups, sums[0] + 16);
}

inline constexpr int kTileRows = 4;

#endif

#if defined(__AVX2__)
inline constexpr bool kIsSigned = false;
#else
inline constexpr bool kIsSigned = true;
#endif

}  // namespace pegasus::PEGASUS_SET
