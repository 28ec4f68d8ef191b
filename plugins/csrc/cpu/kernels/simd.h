// Vectors of floats in the instructions that a file is compiled for; PEGASUS_SET names them, and is
// the namespace that kernels live in, so that the linker mixes up no two sets.
//
// Kernels call nothing of the standard library that is a template: the linker keeps one copy of
// such a function, which may be that of the larger set.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <new>

#include "../kernels.h"

#if defined(__AVX2__)
// GCC 12 takes the undefined vectors of its own header for mistakes (GCC bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#pragma GCC diagnostic pop
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace pegasus::PEGASUS_SET {

template <class T>
inline constexpr T smaller(T a, T b) {
    return b < a ? b : a;
}

template <class T>
inline constexpr T larger(T a, T b) {
    return a < b ? b : a;
}

// 0, 1, …, n - 1 as arguments of a template.
template <int... kNumbers>
struct Numbers {};
template <int kCount, int... kNumbers>
struct CountUp : CountUp<kCount - 1, kCount - 1, kNumbers...> {};
template <int... kNumbers>
struct CountUp<0, kNumbers...> {
    using Type = Numbers<kNumbers...>;
};
template <int kCount>
using CountTo = typename CountUp<kCount>::Type;

inline std::size_t divide_up(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

#if defined(__AVX512F__)

struct Floats {
    static constexpr std::size_t kWidth = 16;
    __m512 v;

    static Floats zero() { return {_mm512_setzero_ps()}; }
    static Floats fill(float x) { return {_mm512_set1_ps(x)}; }
    static Floats load(const float* p) { return {_mm512_loadu_ps(p)}; }
    static Floats load(const Half* p) {
        return as_floats(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    }
    // The first n < kWidth of them, zeros behind.
    static Floats load_some(const float* p, std::size_t n) {
        return {_mm512_maskz_loadu_ps(first(n), p)};
    }
    static Floats load_some(const Half* p, std::size_t n) {
        return as_floats(_mm256_maskz_loadu_epi16(first(n), p));
    }
    void store(float* p) const { _mm512_storeu_ps(p, v); }
    void store(Half* p) const {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), as_halves(v));
    }
    void store_some(float* p, std::size_t n) const { _mm512_mask_storeu_ps(p, first(n), v); }
    // Past the caches, where there are such stores, to what is aligned as vectors are. Other
    // threads see it after finish_streams.
    void stream(float* p) const { _mm512_stream_ps(p, v); }
    // Of whole values from 0 to 255.
    void store_bytes(std::uint8_t* p) const {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                         _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v)));
    }

    Floats operator+(Floats b) const { return {_mm512_add_ps(v, b.v)}; }
    Floats operator-(Floats b) const { return {_mm512_sub_ps(v, b.v)}; }
    Floats operator*(Floats b) const { return {_mm512_mul_ps(v, b.v)}; }
    Floats operator/(Floats b) const { return {_mm512_div_ps(v, b.v)}; }
    float sum() const { return _mm512_reduce_add_ps(v); }
    float largest() const { return _mm512_reduce_max_ps(v); }

  private:
#if defined(__AVX512BF16__)
    static Floats as_floats(__m256i halves) {
        return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16))};
    }
    static __m256i as_halves(__m512 v) {
        return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v));
    }
#else
    static Floats as_floats(__m256i halves) { return {_mm512_cvtph_ps(halves)}; }
    static __m256i as_halves(__m512 v) {
        return _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    }
#endif
    static __mmask16 first(std::size_t n) { return static_cast<__mmask16>((1u << n) - 1); }
};

// a * b + c, rounded once.
inline Floats fused(Floats a, Floats b, Floats c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
// The second where either is NaN.
inline Floats larger(Floats a, Floats b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Floats smaller(Floats a, Floats b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Floats magnitude(Floats a) { return {_mm512_abs_ps(a.v)}; }
inline Floats to_nearest(Floats a) {
    return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
// a * 2^n of whole n.
inline Floats scaled(Floats a, Floats n) { return {_mm512_scalef_ps(a.v, n.v)}; }
// Accumulators that registers hold beside what is multiplied.
inline constexpr std::size_t kTile = 16;
// Else GCC loads again whatever it multiplies twice.
inline void keep_in_register(Floats& a) { asm("" : "+v"(a.v)); }
inline Floats sums_in_lanes(const Floats* x) {  // of four: each lane of 128 bits [x0, x1, x2, x3]
    const __m512 a = _mm512_add_ps(_mm512_unpacklo_ps(x[0].v, x[1].v),
                                   _mm512_unpackhi_ps(x[0].v, x[1].v));
    const __m512 b = _mm512_add_ps(_mm512_unpacklo_ps(x[2].v, x[3].v),
                                   _mm512_unpackhi_ps(x[2].v, x[3].v));
    const __m512d c = _mm512_castps_pd(a), d = _mm512_castps_pd(b);
    return {_mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(c, d)),
                          _mm512_castpd_ps(_mm512_unpackhi_pd(c, d)))};
}
inline Floats sums_of_lanes(Floats a, Floats b) {
    return {_mm512_add_ps(_mm512_shuffle_f32x4(a.v, b.v, 0x88),
                          _mm512_shuffle_f32x4(a.v, b.v, 0xdd))};
}
// The sum of each of kWidth vectors.
inline Floats sums(const Floats* x) {
    return sums_of_lanes(sums_of_lanes(sums_in_lanes(x), sums_in_lanes(x + 4)),
                         sums_of_lanes(sums_in_lanes(x + 8), sums_in_lanes(x + 12)));
}

#elif defined(__AVX2__)

struct Floats {
    static constexpr std::size_t kWidth = 8;
    __m256 v;

    static Floats zero() { return {_mm256_setzero_ps()}; }
    static Floats fill(float x) { return {_mm256_set1_ps(x)}; }
    static Floats load(const float* p) { return {_mm256_loadu_ps(p)}; }
    static Floats load(const Half* p) {
        return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
    }
    static Floats load_some(const float* p, std::size_t n) {
        return {_mm256_maskload_ps(p, first(n))};
    }
    static Floats load_some(const Half* p, std::size_t n) {
        Half part[kWidth] = {};
        for (std::size_t i = 0; i < n; ++i) part[i] = p[i];
        return load(part);
    }
    void store(float* p) const { _mm256_storeu_ps(p, v); }
    void store(Half* p) const {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                         _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    }
    void store_some(float* p, std::size_t n) const { _mm256_maskstore_ps(p, first(n), v); }
    void stream(float* p) const { _mm256_stream_ps(p, v); }
    void store_bytes(std::uint8_t* p) const {
        const __m256i whole = _mm256_cvtps_epi32(v);
        const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(whole),
                                               _mm256_extracti128_si256(whole, 1));
        _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
    }

    Floats operator+(Floats b) const { return {_mm256_add_ps(v, b.v)}; }
    Floats operator-(Floats b) const { return {_mm256_sub_ps(v, b.v)}; }
    Floats operator*(Floats b) const { return {_mm256_mul_ps(v, b.v)}; }
    Floats operator/(Floats b) const { return {_mm256_div_ps(v, b.v)}; }
    float sum() const {
        __m128 x = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
        x = _mm_add_ps(x, _mm_movehl_ps(x, x));
        return _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps(x, x, 1)));
    }
    float largest() const {
        __m128 x = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
        x = _mm_max_ps(x, _mm_movehl_ps(x, x));
        return _mm_cvtss_f32(_mm_max_ss(x, _mm_shuffle_ps(x, x, 1)));
    }

  private:
    static __m256i first(std::size_t n) {
        const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lanes);
    }
};

inline Floats fused(Floats a, Floats b, Floats c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline Floats larger(Floats a, Floats b) { return {_mm256_max_ps(a.v, b.v)}; }
inline Floats smaller(Floats a, Floats b) { return {_mm256_min_ps(a.v, b.v)}; }
inline Floats magnitude(Floats a) {
    return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)};
}
inline Floats to_nearest(Floats a) {
    return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
inline Floats scaled(Floats a, Floats n) {  // n from -127, which gives 0, to 127
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n.v), _mm256_set1_epi32(127));
    return {_mm256_mul_ps(a.v, _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)))};
}
inline constexpr std::size_t kTile = 8;
inline void keep_in_register(Floats& a) { asm("" : "+x"(a.v)); }
inline Floats sums(const Floats* x) {
    const __m256 a = _mm256_hadd_ps(_mm256_hadd_ps(x[0].v, x[1].v),
                                    _mm256_hadd_ps(x[2].v, x[3].v));
    const __m256 b = _mm256_hadd_ps(_mm256_hadd_ps(x[4].v, x[5].v),
                                    _mm256_hadd_ps(x[6].v, x[7].v));
    return {_mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20),
                          _mm256_permute2f128_ps(a, b, 0x31))};
}

#elif defined(__ARM_NEON)

struct Floats {
    static constexpr std::size_t kWidth = 4;
    float32x4_t v;

    static Floats zero() { return {vdupq_n_f32(0)}; }
    static Floats fill(float x) { return {vdupq_n_f32(x)}; }
    static Floats load(const float* p) { return {vld1q_f32(p)}; }
    static Floats load(const Half* p) {
        return {vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)))};
    }
    static Floats load_some(const float* p, std::size_t n) {
        float part[kWidth] = {};
        for (std::size_t i = 0; i < n; ++i) part[i] = p[i];
        return load(part);
    }
    static Floats load_some(const Half* p, std::size_t n) {
        Half part[kWidth] = {};
        for (std::size_t i = 0; i < n; ++i) part[i] = p[i];
        return load(part);
    }
    void store(float* p) const { vst1q_f32(p, v); }
    void store(Half* p) const { vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(v))); }
    void store_some(float* p, std::size_t n) const {
        float part[kWidth];
        store(part);
        for (std::size_t i = 0; i < n; ++i) p[i] = part[i];
    }
    void stream(float* p) const { store(p); }
    void store_bytes(std::uint8_t* p) const {
        const uint16x4_t words = vqmovun_s32(vcvtnq_s32_f32(v));
        const uint8x8_t bytes = vqmovn_u16(vcombine_u16(words, words));
        const std::uint32_t four = vget_lane_u32(vreinterpret_u32_u8(bytes), 0);
        __builtin_memcpy(p, &four, sizeof four);
    }

    Floats operator+(Floats b) const { return {vaddq_f32(v, b.v)}; }
    Floats operator-(Floats b) const { return {vsubq_f32(v, b.v)}; }
    Floats operator*(Floats b) const { return {vmulq_f32(v, b.v)}; }
    Floats operator/(Floats b) const { return {vdivq_f32(v, b.v)}; }
    float sum() const { return vaddvq_f32(v); }
    float largest() const { return vmaxvq_f32(v); }
};

inline Floats fused(Floats a, Floats b, Floats c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
inline Floats larger(Floats a, Floats b) { return {vbslq_f32(vcgtq_f32(a.v, b.v), a.v, b.v)}; }
inline Floats smaller(Floats a, Floats b) { return {vbslq_f32(vcltq_f32(a.v, b.v), a.v, b.v)}; }
inline Floats magnitude(Floats a) { return {vabsq_f32(a.v)}; }
inline Floats to_nearest(Floats a) { return {vrndnq_f32(a.v)}; }
inline Floats scaled(Floats a, Floats n) {  // n from -127, which gives 0, to 127
    const int32x4_t exponent = vaddq_s32(vcvtnq_s32_f32(n.v), vdupq_n_s32(127));
    return {vmulq_f32(a.v, vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23)))};
}
inline constexpr std::size_t kTile = 16;
inline void keep_in_register(Floats& a) { asm("" : "+w"(a.v)); }
inline Floats sums(const Floats* x) {
    return {vpaddq_f32(vpaddq_f32(x[0].v, x[1].v), vpaddq_f32(x[2].v, x[3].v))};
}

#endif

inline void finish_streams() {
#if defined(__AVX2__)
    _mm_sfence();
#endif
}

// e^x to about 2 units in the last place for x <= 0, next to nothing below -87; NaN stays NaN.
// Source: Cody and Waite's reduction, and the polynomial of Cephes' expf.
inline Floats exponential(Floats x) {
    x = larger(Floats::fill(-87.0f), x);
    const Floats n = to_nearest(x * Floats::fill(1.44269504088896341f));
    Floats r = fused(n, Floats::fill(-0.693359375f), x);
    r = fused(n, Floats::fill(2.12194440e-4f), r);
    Floats y = Floats::fill(1.9875691500e-4f);
    y = fused(y, r, Floats::fill(1.3981999507e-3f));
    y = fused(y, r, Floats::fill(8.3334519073e-3f));
    y = fused(y, r, Floats::fill(4.1665795894e-2f));
    y = fused(y, r, Floats::fill(1.6666665459e-1f));
    y = fused(y, r, Floats::fill(5.0000001201e-1f));
    y = fused(y, r * r, r + Floats::fill(1.0f));
    return scaled(y, n);
}

// 2^x to about 1 unit in the last place for x <= 0, next to nothing below -127; NaN stays NaN.
// Source: the polynomial of degree 6 that differs least from 2^x, from -1/2 to 1/2.
inline Floats power_of_two(Floats x) {
    x = larger(Floats::fill(-127.0f), x);
    const Floats n = to_nearest(x);
    const Floats r = x - n;
    Floats y = Floats::fill(1.535336196e-04f);
    y = fused(y, r, Floats::fill(1.339887502e-03f));
    y = fused(y, r, Floats::fill(9.618436918e-03f));
    y = fused(y, r, Floats::fill(5.550332367e-02f));
    y = fused(y, r, Floats::fill(2.402264774e-01f));
    y = fused(y, r, Floats::fill(6.931471825e-01f));
    y = fused(y, r, Floats::fill(1.0f));
    return scaled(y, n);
}

}  // namespace pegasus::PEGASUS_SET
