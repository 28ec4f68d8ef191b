// The table of one set of instructions.
#include "functions.h"

namespace pegasus::PEGASUS_SET {

#define PEGASUS_TEXT(x) #x
#define PEGASUS_NAME(x) PEGASUS_TEXT(x)

extern const Kernels kernels = {
    PEGASUS_NAME(PEGASUS_SET), pack_int8,      int8_linear,            keep_source,
    source_attention,          beam_attention, block_sparse_attention, add_layer_normalization,
    log_softmax_top_k,
};

}  // namespace pegasus::PEGASUS_SET
