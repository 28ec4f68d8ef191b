// Rows of floats to 8 bits, each relative to its own largest magnitude.
#pragma once

#include "dot_products.h"

namespace pegasus::PEGASUS_SET {

// Writes `depth` bytes, and zeros up to a multiple of 4; returns the row's largest magnitude.
// Divided twice, and by a rounded step, as in ONNX Runtime's Div and QuantizeLinear.
float round_row(const float* row, std::size_t depth, bool is_positive, Byte* rounded);

}  // namespace pegasus::PEGASUS_SET
