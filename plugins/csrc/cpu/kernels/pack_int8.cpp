#include "simd.h"

namespace pegasus::PEGASUS_SET {

void pack_int8(const std::int8_t* weight, bool is_transposed, const PackedInt8& packed) {
    const std::size_t depth = packed.depth, columns = packed.columns;
    const std::size_t groups = divide_up(depth, kPanelDepth);
    const std::size_t row_step = is_transposed ? 1 : columns;
    const std::size_t column_step = is_transposed ? depth : 1;
    std::int8_t* to = packed.values;
    for (std::size_t first = 0; first < columns; first += kPanelColumns) {
        std::int32_t* sums = packed.sums + first;
        for (int n = 0; n < kPanelColumns; ++n) sums[n] = 0;
        for (std::size_t group = 0; group < groups; ++group) {
            for (std::size_t n = first; n < first + kPanelColumns; ++n) {
                for (std::size_t k = group * kPanelDepth; k < (group + 1) * kPanelDepth; ++k) {
                    const bool is_inside = n < columns && k < depth;
                    *to = is_inside ? weight[k * row_step + n * column_step] : std::int8_t{0};
                    sums[n - first] += *to++;
                }
            }
        }
    }
}

}  // namespace pegasus::PEGASUS_SET
