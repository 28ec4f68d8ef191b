// The kernels of one set of instructions; what they do is in kernels.h.
#pragma once

#include "../kernels.h"

namespace pegasus::PEGASUS_SET {

void pack_int8(const std::int8_t* weight, bool is_transposed, const PackedInt8& packed);
void int8_linear(const Int8Linear&, const Threads&);
void keep_source(const KeepSource&, const Threads&);
void source_attention(const SourceAttention&, const Threads&);
void beam_attention(const BeamAttention&, const Threads&);
void block_sparse_attention(const BlockSparseAttention&, const Threads&);

}  // namespace pegasus::PEGASUS_SET
