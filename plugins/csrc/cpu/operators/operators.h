// The operators of domain pegasus_edge. Each is also a function of the graphs that call it, spelled
// in stock operators (engines/pegasus_engines/precision/…), and means the same.
#pragma once

#include "../kernels.h"
#include "operator.h"

namespace pegasus {

const OrtCustomOp& int8_linear_operator();
const OrtCustomOp& keep_source_operator();
const OrtCustomOp& source_attention_operator();
const OrtCustomOp& beam_attention_operator();
const OrtCustomOp& block_sparse_attention_operator();

// The kernels that were chosen for this processor, of which there are some where an operator is
// registered.
const Kernels& chosen();

// Throws OperatorError for heads that are larger than what kernels have room for, or empty.
void check_head_dim(std::int64_t head_dim);

}  // namespace pegasus
