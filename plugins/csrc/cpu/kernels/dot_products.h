// Vectors of 32-bit sums of products of bytes, in the instructions that a file is compiled for.
#pragma once

#include "simd.h"

namespace pegasus::PEGASUS_SET {

using Byte = std::uint8_t;

inline std::int32_t four_bytes(const Byte* p) {
    std::int32_t word;
    __builtin_memcpy(&word, p, sizeof word);
    return word;
}

#if defined(__AVX512F__)

using Integers = __m512i;

inline constexpr int kTileRows = 12;   // 24 registers of sums, 2 of columns, 1 of a row
inline constexpr int kByteOffset = 0;  // what `dot` takes from a row's bytes

inline Integers load_integers(const void* p) { return _mm512_loadu_si512(p); }
inline Integers fill_integers(std::int32_t x) { return _mm512_set1_epi32(x); }
inline Integers multiply(Integers a, Integers b) { return _mm512_mullo_epi32(a, b); }
inline Floats to_floats(Integers a) { return {_mm512_cvtepi32_ps(a)}; }
// Four bytes of a row in each lane.
inline Integers fill_bytes(const Byte* p) { return _mm512_set1_epi32(four_bytes(p)); }
// sum + the four products in each lane. Exact.
inline Integers dot(Integers sum, Integers row, Integers columns) {
    return _mm512_dpbusd_epi32(sum, row, columns);
}
// The bits of the larger magnitude; NaN is larger than infinity.
inline Integers larger_bits(Integers a, Floats b) {
    return _mm512_max_epi32(a, _mm512_castps_si512(magnitude(b).v));
}
inline std::int32_t largest(Integers a) { return _mm512_reduce_max_epi32(a); }

#elif defined(__AVX2__)

using Integers = __m256i;

inline constexpr int kTileRows = 3;  // 12 registers of sums, 1 of ones, 1 of a row, 2 at work
inline constexpr int kByteOffset = 0;

inline Integers load_integers(const void* p) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
inline Integers fill_integers(std::int32_t x) { return _mm256_set1_epi32(x); }
inline Integers multiply(Integers a, Integers b) { return _mm256_mullo_epi32(a, b); }
inline Floats to_floats(Integers a) { return {_mm256_cvtepi32_ps(a)}; }
inline Integers fill_bytes(const Byte* p) { return _mm256_set1_epi32(four_bytes(p)); }
// Two neighbours' products fit 16 bits: engines/pegasus_engines/precision/int8.py.
inline Integers dot(Integers sum, Integers row, Integers columns) {
    const Integers pairs = _mm256_maddubs_epi16(row, columns);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
inline Integers larger_bits(Integers a, Floats b) {
    return _mm256_max_epi32(a, _mm256_castps_si256(magnitude(b).v));
}
inline std::int32_t largest(Integers a) {
    __m128i x = _mm_max_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    x = _mm_max_epi32(x, _mm_shuffle_epi32(x, 0x4e));
    return _mm_cvtsi128_si32(_mm_max_epi32(x, _mm_shuffle_epi32(x, 0xb1)));
}

#elif defined(__ARM_NEON)

using Integers = int32x4_t;

inline constexpr int kTileRows = 3;      // 24 registers of sums, 8 at work
inline constexpr int kByteOffset = 128;  // the instruction multiplies signed bytes only

inline Integers load_integers(const void* p) {
    return vld1q_s32(static_cast<const std::int32_t*>(p));
}
inline Integers fill_integers(std::int32_t x) { return vdupq_n_s32(x); }
inline Integers multiply(Integers a, Integers b) { return vmulq_s32(a, b); }
inline Floats to_floats(Integers a) { return {vcvtq_f32_s32(a)}; }
inline Integers fill_bytes(const Byte* p) {
    return vdupq_n_s32(four_bytes(p) ^ static_cast<std::int32_t>(0x80808080));
}
inline Integers dot(Integers sum, Integers row, Integers columns) {
    return vdotq_s32(sum, vreinterpretq_s8_s32(row), vreinterpretq_s8_s32(columns));
}
inline Integers larger_bits(Integers a, Floats b) {
    return vmaxq_s32(a, vreinterpretq_s32_f32(magnitude(b).v));
}
inline std::int32_t largest(Integers a) { return vmaxvq_s32(a); }

#endif

}  // namespace pegasus::PEGASUS_SET
