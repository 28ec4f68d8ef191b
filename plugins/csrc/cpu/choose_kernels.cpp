#include <cstdlib>
#include <cstring>

#include "kernels.h"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#ifndef HWCAP_ASIMDDP
#define HWCAP_ASIMDDP (1 << 20)
#endif
#endif

namespace pegasus {

#if defined(__x86_64__) || defined(_M_X64)
namespace avx2 {
extern const Kernels kernels;
}
namespace avx512 {
extern const Kernels kernels;
}
#elif defined(__aarch64__)
namespace neon {
extern const Kernels kernels;
}
#endif

namespace {

struct Choice {
    const Kernels* kernels;
    bool is_here;
};

// Best first.
#if defined(__x86_64__) || defined(_M_X64)
const Choice* choices(std::size_t& count) {
    __builtin_cpu_init();
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                          __builtin_cpu_supports("f16c");
    const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") &&
                            __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512vl") &&
                            __builtin_cpu_supports("avx512dq") &&
                            __builtin_cpu_supports("avx512vnni");
    static const Choice found[] = {{&avx512::kernels, has_avx512}, {&avx2::kernels, has_avx2}};
    count = 2;
    return found;
}
#elif defined(__aarch64__)
const Choice* choices(std::size_t& count) {
#if defined(__linux__)
    const bool has_dot_products = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#else
    const bool has_dot_products = true;  // every processor of Apple's since the M1
#endif
    static const Choice found[] = {{&neon::kernels, has_dot_products}};
    count = 1;
    return found;
}
#endif

}  // namespace

const Kernels* find_kernels(const char* instructions) {
    std::size_t count = 0;
    const Choice* found = choices(count);
    for (std::size_t i = 0; i < count; ++i) {
        const bool is_it = !instructions ||
                           std::strcmp(found[i].kernels->instructions, instructions) == 0;
        if (is_it && found[i].is_here) return found[i].kernels;
    }
    return nullptr;
}

const Kernels* choose_kernels() { return find_kernels(std::getenv("PEGASUS_EDGE_INSTRUCTIONS")); }

}  // namespace pegasus
