// What tests call of the int8 product.
#include "call_kernels.h"

namespace pegasus {

#define PEGASUS_DECLARE(set)                                                      \
    namespace set {                                                               \
    void pack_int8(const std::int8_t*, bool is_transposed, const PackedInt8&);    \
    void int8_linear(const Int8Linear&, const Threads&);                          \
    }
#if defined(__aarch64__)
PEGASUS_DECLARE(neon)
#else
PEGASUS_DECLARE(avx2)
PEGASUS_DECLARE(avx512)
#endif

PEGASUS_DEFINE(int8_linear, Int8Linear)

PEGASUS_TEST_API int call_pack_int8(const char* set, const std::int8_t* weight, bool is_transposed,
                                    const PackedInt8* packed) {
    if (!has(set)) return 0;
#if defined(__aarch64__)
    neon::pack_int8(weight, is_transposed, *packed);
#else
    const auto pack = std::strcmp(set, "avx2") == 0 ? avx2::pack_int8 : avx512::pack_int8;
    pack(weight, is_transposed, *packed);
#endif
    return 1;
}

}  // namespace pegasus
