// Vectors of 32-bit sums of products of bytes, and floats rounded to bytes, in the instructions
// that a file is compiled for.
#pragma once

#include <cstring>

#include "simd.h"

namespace pegasus::PEGASUS_SET {

using Byte = std::uint8_t;

#if defined(__AVX512F__)
using Integers = __m512i;
#elif defined(__AVX2__)
using Integers = __m256i;
#elif defined(__ARM_NEON)
using Integers = int32x4_t;
#endif

// Which floats are bytes, and what is added to them.
struct ByteRange {
    Floats low, high;
    Integers zero;
};

#if defined(__AVX512F__)

inline constexpr int kTileRows = 12;  // 24 registers of sums, 2 of weights, 1 of a row
// What is taken from the bytes of a row before they are multiplied.
inline constexpr int kByteOffset = 0;

inline Integers load_integers(const void* p) { return _mm512_loadu_si512(p); }
inline Integers fill_integers(std::int32_t x) { return _mm512_set1_epi32(x); }
inline Integers multiply(Integers a, Integers b) { return _mm512_mullo_epi32(a, b); }
// Four bytes of a row in each lane.
inline Integers fill_bytes(const Byte* p) {
    std::int32_t four;
    std::memcpy(&four, p, sizeof four);
    return _mm512_set1_epi32(four);
}
// sum + the products of the lane's four bytes of a row and of a column.
inline Integers dot(Integers sum, Integers row, Integers column) {
    return _mm512_dpbusd_epi32(sum, row, column);
}
inline Floats to_floats(Integers a) { return {_mm512_cvtepi32_ps(a)}; }

// The larger magnitude; NaN is larger than infinity.
inline Integers larger_magnitude(Integers a, Floats b) {
    const Integers bits = _mm512_castps_si512(b.v);
    return _mm512_max_epi32(a, _mm512_and_si512(bits, _mm512_set1_epi32(0x7fffffff)));
}
inline std::int32_t largest(Integers a) { return _mm512_reduce_max_epi32(a); }

// Each float to nearest, plus zero: kWidth bytes. Those out of range, and NaN, are the nearest
// byte, and 0.
inline void store_bytes(Byte* p, Floats x, const ByteRange& range) {
    const __m512 inside = _mm512_min_ps(_mm512_max_ps(x.v, range.low.v), range.high.v);
    const Integers whole = _mm512_add_epi32(_mm512_cvtps_epi32(inside), range.zero);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(whole));
}

#elif defined(__AVX2__)

inline constexpr int kTileRows = 3;  // 12 registers of sums, 1 of ones, 1 of a row, 2 at work
inline constexpr int kByteOffset = 0;

inline Integers load_integers(const void* p) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
inline Integers fill_integers(std::int32_t x) { return _mm256_set1_epi32(x); }
inline Integers multiply(Integers a, Integers b) { return _mm256_mullo_epi32(a, b); }
inline Integers fill_bytes(const Byte* p) {
    std::int32_t four;
    std::memcpy(&four, p, sizeof four);
    return _mm256_set1_epi32(four);
}
// Two neighbours' products fit 16 bits: engines/pegasus_engines/precision/int8.py.
inline Integers dot(Integers sum, Integers row, Integers column) {
    const Integers pairs = _mm256_maddubs_epi16(row, column);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
inline Floats to_floats(Integers a) { return {_mm256_cvtepi32_ps(a)}; }

inline Integers larger_magnitude(Integers a, Floats b) {
    const Integers bits = _mm256_castps_si256(b.v);
    return _mm256_max_epi32(a, _mm256_and_si256(bits, _mm256_set1_epi32(0x7fffffff)));
}
inline std::int32_t largest(Integers a) {
    __m128i x = _mm_max_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    x = _mm_max_epi32(x, _mm_shuffle_epi32(x, 0x4e));
    return _mm_cvtsi128_si32(_mm_max_epi32(x, _mm_shuffle_epi32(x, 0xb1)));
}

inline void store_bytes(Byte* p, Floats x, const ByteRange& range) {
    const __m256 inside = _mm256_min_ps(_mm256_max_ps(x.v, range.low.v), range.high.v);
    const Integers whole = _mm256_add_epi32(_mm256_cvtps_epi32(inside), range.zero);
    const __m128i words =
        _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
}

#elif defined(__ARM_NEON)

inline constexpr int kTileRows = 3;  // 24 registers of sums, 3 of rows
inline constexpr int kByteOffset = 128;  // the instruction multiplies signed bytes only

inline Integers load_integers(const void* p) {
    return vld1q_s32(static_cast<const std::int32_t*>(p));
}
inline Integers fill_integers(std::int32_t x) { return vdupq_n_s32(x); }
inline Integers multiply(Integers a, Integers b) { return vmulq_s32(a, b); }
inline Integers fill_bytes(const Byte* p) {
    std::int32_t four;
    std::memcpy(&four, p, sizeof four);
    return vdupq_n_s32(four);
}
inline Integers dot(Integers sum, Integers row, Integers column) {
    return vdotq_s32(sum, vreinterpretq_s8_s32(row), vreinterpretq_s8_s32(column));
}
inline Floats to_floats(Integers a) { return {vcvtq_f32_s32(a)}; }

inline Integers larger_magnitude(Integers a, Floats b) {
    const Integers bits = vreinterpretq_s32_f32(b.v);
    return vmaxq_s32(a, vandq_s32(bits, vdupq_n_s32(0x7fffffff)));
}
inline std::int32_t largest(Integers a) { return vmaxvq_s32(a); }

inline void store_bytes(Byte* p, Floats x, const ByteRange& range) {
    const float32x4_t inside = vminnmq_f32(vmaxnmq_f32(x.v, range.low.v), range.high.v);
    const int32x4_t whole = vaddq_s32(vcvtnq_s32_f32(inside), range.zero);
    const int16x4_t words = vmovn_s32(whole);
    const int8x8_t bytes = vmovn_s16(vcombine_s16(words, words));
    std::memcpy(p, &bytes, Floats::kWidth);
}

#endif

// For bytes from -zero to 255 - zero.
inline ByteRange make_range(int zero) {
    return {Floats::fill(static_cast<float>(-zero)), Floats::fill(static_cast<float>(255 - zero)),
            fill_integers(zero - kByteOffset)};
}

}  // namespace pegasus::PEGASUS_SET
