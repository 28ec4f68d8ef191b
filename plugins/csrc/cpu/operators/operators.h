// The operators of domain pegasus_edge. Each is also a function of the graphs that call it, spelled
// in stock operators, and means the same: see engines/pegasus_engines/precision/passes/
// kernel_functions.py, and exporter/pegasus_export/passes/define_sparse_attention.py.
#pragma once

#include "../kernels.h"
#include "operator.h"

namespace pegasus {

// Of every kind, the plain one first.
const std::vector<const OrtCustomOp*>& int8_linear_operators();
const OrtCustomOp& keep_source_operator();
const OrtCustomOp& source_attention_operator();
const OrtCustomOp& beam_attention_operator();
const OrtCustomOp& block_sparse_attention_operator();
const OrtCustomOp& self_attention_operator();
const OrtCustomOp& add_layer_normalization_operator();
const OrtCustomOp& log_softmax_top_k_operator();

// The kernels that were chosen for this processor, of which there are some where an operator is
// registered.
const Kernels& chosen();

}  // namespace pegasus
