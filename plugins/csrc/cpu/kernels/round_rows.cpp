#include "round_rows.h"

namespace pegasus::PEGASUS_SET {

namespace {

float find_largest(const float* row, std::size_t depth, bool is_positive) {
    Floats most = is_positive ? Floats::fill(row[0]) : magnitude(Floats::fill(row[0]));
    Floats check = Floats::zero();  // NaN where the row has one, or infinity: see the caller
    std::size_t k = 0;
    for (; k + Floats::kWidth <= depth; k += Floats::kWidth) {
        const Floats x = Floats::load(row + k);
        most = larger(most, is_positive ? x : magnitude(x));
        check = fused(x, Floats::zero(), check);
    }
    float found = most.largest(), bad = check.sum();
    for (; k < depth; ++k) {
        found = larger(found, is_positive ? row[k] : std::fabs(row[k]));
        bad += row[k] * 0.0f;
    }
    return found + bad;
}

}  // namespace

float round_row(const float* row, std::size_t depth, bool is_positive, Byte* rounded) {
    const float largest = find_largest(row, depth, is_positive);
    const float zero = is_positive ? 0.0f : 128.0f;
    const float step = is_positive ? 1.0f / 255.0f : 1.0f / 127.0f;
    const Floats size = Floats::fill(largest), steps = Floats::fill(step);
    const Floats lowest = Floats::fill(-zero), highest = Floats::fill(255.0f - zero);
    const auto round = [&](Floats x) {  // of a row of zeros, 0 / 0 becomes the lowest
        x = smaller(larger(x / size / steps, lowest), highest);
        return to_nearest(x) + Floats::fill(zero);
    };
    std::size_t k = 0;
    for (; k + Floats::kWidth <= depth; k += Floats::kWidth)
        round(Floats::load(row + k)).store_bytes(rounded + k);
    if (k < depth) {
        Byte part[Floats::kWidth];
        round(Floats::load_some(row + k, depth - k)).store_bytes(part);
        for (std::size_t i = 0; k + i < depth; ++i) rounded[k + i] = part[i];
    }
    for (k = depth; k % kPanelDepth != 0; ++k) rounded[k] = 0;
    return largest;
}

}  // namespace pegasus::PEGASUS_SET
