// What tests call of the attention kernels.
#include "call_kernels.h"

namespace pegasus {

#define PEGASUS_DECLARE(set)                                        \
    namespace set {                                                 \
    void keep_source(const KeepSource&, const Threads&);            \
    void source_attention(const SourceAttention&, const Threads&);  \
    void beam_attention(const BeamAttention&, const Threads&);      \
    }
#if defined(__aarch64__)
PEGASUS_DECLARE(neon)
#else
PEGASUS_DECLARE(avx2)
PEGASUS_DECLARE(avx512)
#endif

PEGASUS_DEFINE(keep_source, KeepSource)
PEGASUS_DEFINE(source_attention, SourceAttention)
PEGASUS_DEFINE(beam_attention, BeamAttention)

}  // namespace pegasus
