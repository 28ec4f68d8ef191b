#include "processor.h"

#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#ifndef HWCAP_ASIMDDP
#define HWCAP_ASIMDDP (1 << 20)
#endif
#endif

namespace pegasus {
namespace {

#if defined(__x86_64__)

struct Registers {
    unsigned a = 0, b = 0, c = 0, d = 0;
};

// Zeros if there is none.
Registers cpuid(unsigned leaf, unsigned part = 0) {
    Registers found;
    __get_cpuid_count(leaf, part, &found.a, &found.b, &found.c, &found.d);
    return found;
}

bool has(unsigned word, unsigned bit) { return ((word >> bit) & 1u) != 0; }

// Registers that the system saves when it changes threads: XCR0.
std::uint64_t saved_states() {
    std::uint32_t low = 0, high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (std::uint64_t{high} << 32) | low;
}

Processor ask() {
    constexpr std::uint64_t kAvx = 0x6, kAvx512 = 0xe6, kTiles = 0x60000;
    const Registers basic = cpuid(1), extended = cpuid(7);
    const bool has_xgetbv = has(basic.c, 27);
    const std::uint64_t saved = has_xgetbv ? saved_states() : 0;
    Processor found{};
    found.has_avx2 = (saved & kAvx) == kAvx && has(basic.c, 28) && has(basic.c, 12) &&
                     has(basic.c, 29) && has(extended.b, 5);  // AVX, FMA, F16C, AVX2
    found.has_avx512 = found.has_avx2 && (saved & kAvx512) == kAvx512 && has(extended.b, 16) &&
                       has(extended.b, 17) && has(extended.b, 30) && has(extended.b, 31) &&
                       has(extended.c, 11);  // F, DQ, BW, VL, VNNI
    found.has_bfloat16 = found.has_avx512 && extended.a >= 1 && has(cpuid(7, 1).a, 5);
    found.has_amx_int8 = (saved & kTiles) == kTiles && has(extended.d, 24) && has(extended.d, 25);
    return found;
}

#elif defined(__aarch64__)

Processor ask() {
    Processor found{};
#if defined(__linux__)
    found.has_dot_products = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#else
    found.has_dot_products = true;  // every processor of Apple's since the M1
#endif
    return found;
}

#endif

}  // namespace

const Processor& processor() {
    static const Processor found = ask();
    return found;
}

}  // namespace pegasus
