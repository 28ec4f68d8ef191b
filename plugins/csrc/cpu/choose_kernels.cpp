#include <cstdlib>
#include <cstring>

#include "kernels.h"
#include "processor.h"

namespace pegasus {

#if defined(__x86_64__)
namespace avx2 {
extern const Kernels kernels;
}
namespace avx512 {
extern const Kernels kernels;
}
namespace avx512bf16 {
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
const Choice* choices(std::size_t& count) {
#if defined(__x86_64__)
    static const Choice found[] = {{&avx512bf16::kernels, processor().has_bfloat16},
                                   {&avx512::kernels, processor().has_avx512},
                                   {&avx2::kernels, processor().has_avx2}};
#elif defined(__aarch64__)
    static const Choice found[] = {{&neon::kernels, processor().has_dot_products}};
#endif
    count = sizeof(found) / sizeof(found[0]);
    return found;
}

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
