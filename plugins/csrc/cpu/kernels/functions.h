// The kernels of one set of instructions; what they do is in kernels.h.
#pragma once

#include "../kernels.h"

namespace pegasus::PEGASUS_SET {

void keep_source(const KeepSource&, const Threads&);
void source_attention(const SourceAttention&, const Threads&);
void block_sparse_attention(const BlockSparseAttention&, const Threads&);

}  // namespace pegasus::PEGASUS_SET

// With products of bfloat16, those are others; the rest is that of avx512.
#if defined(__AVX512BF16__)
namespace pegasus::avx512 {
#else
namespace pegasus::PEGASUS_SET {
#endif

void pack_int8(const std::int8_t* weight, bool is_transposed, const PackedInt8& packed);
void int8_linear(const Int8Linear&, const Threads&);
void beam_attention(const BeamAttention&, const Threads&);
void add_layer_normalization(const AddLayerNormalization&, const Threads&);
void log_softmax_top_k(const LogSoftmaxTopK&, const Threads&);

}  // namespace

#if defined(__AVX512BF16__)
namespace pegasus::avx512bf16 {

using avx512::add_layer_normalization;
using avx512::beam_attention;
using avx512::int8_linear;
using avx512::log_softmax_top_k;
using avx512::pack_int8;

}  // namespace pegasus::avx512bf16
#endif
