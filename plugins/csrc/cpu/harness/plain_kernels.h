// What each kernel computes, in plain loops: attention and norms in double, products bit
// for bit.
#pragma once

#include "../kernels.h"

namespace pegasus::plain {

// What halves are: see kernels.h.
bool keeps_bfloat16(const Kernels& kernels);
float from_half(Half half, bool is_bfloat16);
// As a half holds it: to nearest, ties to even; infinite beyond.
float rounded_to_half(float x, bool is_bfloat16);

// weight [K, N], or [N, K] if transposed; arguments.weight.values is not read.
void int8_linear(const Int8Linear& arguments, const std::int8_t* weight, bool is_transposed);
void source_attention(const SourceAttention& arguments, bool is_bfloat16);
// Writes no cache.
void beam_attention(const BeamAttention& arguments);
void block_sparse_attention(const BlockSparseAttention& arguments);
void add_layer_normalization(const AddLayerNormalization& arguments);
void log_softmax(const LogSoftmaxTopK& arguments);
// Of the log-probabilities that there are.
void top_k(const LogSoftmaxTopK& arguments);

}  // namespace pegasus::plain
