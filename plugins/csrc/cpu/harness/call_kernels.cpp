// What tests call of the kernels, by the name of a set of instructions and on so many threads: 0
// where there is no such kernel on this processor.
#include "../kernels.h"
#include "plain_threads.h"

#define PEGASUS_CALL(kernel, Arguments)                                                       \
    extern "C" __attribute__((visibility("default"))) int pegasus_edge_kernels_call_##kernel( \
        const char* set, std::size_t width, const pegasus::Arguments* arguments) {            \
        const pegasus::Kernels* kernels = pegasus::find_kernels(set);                         \
        if (!kernels || !kernels->kernel) return 0;                                           \
        pegasus::PlainThreads pool(width);                                                    \
        kernels->kernel(*arguments, pool.threads());                                          \
        return 1;                                                                             \
    }

PEGASUS_CALL(int8_linear, Int8Linear)
PEGASUS_CALL(keep_source, KeepSource)
PEGASUS_CALL(source_attention, SourceAttention)
PEGASUS_CALL(beam_attention, BeamAttention)
PEGASUS_CALL(block_sparse_attention, BlockSparseAttention)
PEGASUS_CALL(add_layer_normalization, AddLayerNormalization)
PEGASUS_CALL(log_softmax_top_k, LogSoftmaxTopK)

extern "C" __attribute__((visibility("default"))) int pegasus_edge_kernels_call_pack_int8(
    const char* set, const std::int8_t* weight, bool is_transposed,
    const pegasus::PackedInt8* packed) {
    const pegasus::Kernels* kernels = pegasus::find_kernels(set);
    if (!kernels || !kernels->pack_int8) return 0;
    kernels->pack_int8(weight, is_transposed, *packed);
    return 1;
}
