// What the operators compute with: one table of functions for each set of instructions, of which
// the one that suits the processor is taken when the library is loaded.
//
// Everything is dense and row-major. Pointers that may be null say so.
#pragma once

#include <cstddef>
#include <cstdint>

#include "threads.h"

namespace pegasus {

// Bits of an IEEE half; of a source, in sets whose names end in bf16, of a bfloat16.
using Half = std::uint16_t;

// Floats of a head that attention takes at most; who calls it checks.
inline constexpr std::size_t kMaxHeadDim = 512;

// Columns that lie side by side in a packed matrix of int8, and inner positions likewise.
inline constexpr int kPanelColumns = 32;
inline constexpr int kPanelDepth = 4;

// weight [K, N] int8 as [ceil(N / 32)][ceil(K / 4)][32][4], zeros beyond the ends; and the sum of
// each column, [ceil(N / 32) * 32] int32.
struct PackedInt8 {
    std::size_t depth;    // K
    std::size_t columns;  // N
    std::int8_t* values;  // aligned to 64 bytes
    std::int32_t* sums;
};

// y = x * weight, x rounded to 8 bits in steps of its own for each row, as the stock spelling has
// it (engines/pegasus_engines/precision/passes/round_rows.py): exact in integers, and the same
// floats bit for bit. With AVX2 that takes weights whose neighbours add up to 128 at most, as those
// of bundles do (engines/pegasus_engines/precision/int8.py): other sums saturate.
struct Int8Linear {
    const float* input;  // [M, K]
    float* output;       // [M, N]
    std::size_t rows;    // M
    PackedInt8 weight;
    const float* scale;    // [N]
    const float* bias;     // [N], or null
    bool is_positive;      // x has no negative values: 255 steps from zero, else 127 each way
    bool rectify;          // y = max(y, 0)
};

// Keys or values of the source as the decoder's steps want them: [B, S, H * Dh] -> [B, H, S, Dh].
struct KeepSource {
    const float* input;
    Half* output;
    std::size_t batch, length, heads, head_dim;
};

// Cross-attention: the beams of a document are the queries of one set of keys.
// softmax(q k^T / sqrt(Dh) + mask) v, where masked keys have the lowest float added.
struct SourceAttention {
    const float* query;  // [B, R, H * Dh]
    const void* key;     // [B, H, S, Dh], Half or float
    const void* value;
    const std::int64_t* mask;  // [B, S], 0 where a key is padding
    float* output;             // [B, R, H * Dh]
    std::size_t batch, rows, heads, head_dim, length;
    bool is_half;
};

// Self-attention of one new token per row over that row's past, found by way of the indirection:
// position t of row r of document b is in row b * R + indirection[b, r, t].
struct BeamAttention {
    const float* query;  // [B * R, H * Dh], as are new_key and new_value
    const float* new_key;
    const float* new_value;
    std::size_t stride;  // floats from a row of these three to the next
    void* key;           // [B * R, H, T, Dh], Half or float; the new token's go to `position`
    void* value;
    const std::int32_t* indirection;  // [B, R, T]
    float* output;                    // [B * R, H * Dh]
    std::size_t batch, rows, heads, head_dim, capacity, position;
    bool is_half;
};

// BigBird's attention, or full attention where length <= longest_full: see
// exporter/pegasus_export/dialects/block_sparse.py, the reference.
struct BlockSparseAttention {
    const float* query;  // [B, S, H * Dh], as are key and value
    const float* key;
    const float* value;
    std::size_t stride;                 // floats from a row of these three to the next
    const std::int64_t* mask;           // [B, S], 0 where a token is padding
    const std::int64_t* random_blocks;  // [H, table_rows, num_random], or null: pattern hf-eval
    float* output;                      // [B, S, H * Dh]; of sparse attention zero where padding is
    std::size_t batch, length, heads, head_dim;
    std::size_t block_size, num_random, longest_full, table_rows;
    bool may_round;  // to bfloat16, where a processor multiplies that
};

// sum = x + y; output = (sum - mean) / sqrt(variance + epsilon) * weight + bias, of each row.
struct AddLayerNormalization {
    const float* x;  // [M, D], as are y, sum and output
    const float* y;
    const float* weight;  // [D]
    const float* bias;    // [D]
    float* sum;
    float* output;
    std::size_t rows, columns;  // M, D
    float epsilon;
};

// Log-probabilities of each row of logits: x - max - log(sum of e^(x - max)), all NaN where a logit
// is NaN or infinity, or all are minus infinity. And the best of each row, descending, of equals
// the lower column first.
struct LogSoftmaxTopK {
    const float* logits;    // [N, V]
    float* log_probs;       // [N, V]
    float* top_scores;      // [N, k]
    std::int64_t* top_ids;  // [N, k]
    std::size_t rows, columns, count;  // N, V, k <= V
};

struct Kernels {
    const char* instructions;  // "avx2", "avx512", "avx512bf16" or "neon"
    void (*pack_int8)(const std::int8_t* weight, bool is_transposed, const PackedInt8& packed);
    void (*int8_linear)(const Int8Linear&, const Threads&);
    void (*keep_source)(const KeepSource&, const Threads&);
    void (*source_attention)(const SourceAttention&, const Threads&);
    void (*beam_attention)(const BeamAttention&, const Threads&);
    void (*block_sparse_attention)(const BlockSparseAttention&, const Threads&);
    void (*add_layer_normalization)(const AddLayerNormalization&, const Threads&);
    void (*log_softmax_top_k)(const LogSoftmaxTopK&, const Threads&);
};

// Of this processor, or of the set that PEGASUS_EDGE_INSTRUCTIONS names if the processor has it;
// null where it has none of them: then no operator is registered, and the stock spelling runs.
const Kernels* choose_kernels();

// Of one set by its name; null where the processor, or this build, lacks it.
const Kernels* find_kernels(const char* instructions);

}  // namespace pegasus
