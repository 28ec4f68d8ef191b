// A matrix of int8 as the product reads it, from front to back.
#include <cstring>

#include "functions.h"
#include "simd.h"

namespace pegasus::PEGASUS_SET {

namespace {

// weight [K, N]: depth row by row, so that what is read lies together.
void pack_panel(const std::int8_t* weight, std::size_t depth, std::size_t columns,
                std::size_t first, std::int8_t* values, std::int32_t* sums) {
    const std::size_t width = smaller<std::size_t>(kPanelColumns, columns - first);
    for (std::size_t k = 0; k < depth; ++k) {
        const std::int8_t* row = weight + k * columns + first;
        std::int8_t* to = values + k / kPanelDepth * kPanelColumns * kPanelDepth + k % kPanelDepth;
        for (std::size_t n = 0; n < width; ++n) {
            to[n * kPanelDepth] = row[n];
            sums[n] += row[n];
        }
    }
}

// weight [N, K].
void pack_transposed_panel(const std::int8_t* weight, std::size_t depth, std::size_t columns,
                           std::size_t first, std::int8_t* values, std::int32_t* sums) {
    const std::size_t width = smaller<std::size_t>(kPanelColumns, columns - first);
    for (std::size_t n = 0; n < width; ++n) {
        const std::int8_t* column = weight + (first + n) * depth;
        for (std::size_t k = 0; k < depth; ++k) sums[n] += column[k];
        for (std::size_t k = 0; k < depth; k += kPanelDepth) {
            std::memcpy(values + (k * kPanelColumns + n * kPanelDepth), column + k,
                        smaller<std::size_t>(kPanelDepth, depth - k));
        }
    }
}

}  // namespace

void pack_int8(const std::int8_t* weight, bool is_transposed, const PackedInt8& packed) {
    const std::size_t panel_bytes =
        divide_up(packed.depth, kPanelDepth) * kPanelDepth * kPanelColumns;
    const auto pack = is_transposed ? pack_transposed_panel : pack_panel;
    for (std::size_t first = 0; first < packed.columns; first += kPanelColumns) {
        std::int8_t* values = packed.values + first / kPanelColumns * panel_bytes;
        std::memset(values, 0, panel_bytes);
        std::memset(packed.sums + first, 0, kPanelColumns * sizeof(std::int32_t));
        pack(weight, packed.depth, packed.columns, first, values, packed.sums + first);
    }
}

}  // namespace pegasus::PEGASUS_SET
