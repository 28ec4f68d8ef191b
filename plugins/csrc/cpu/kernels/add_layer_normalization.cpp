// The residual stream takes in what a layer gave, and is normalised for the next one.
#include "functions.h"
#include "runs.h"

namespace pegasus::PEGASUS_SET {

namespace {

inline constexpr std::size_t kSums = 4;  // at once, as each waits for the one before it

struct WholeVector {
    Floats load(const float* from) const { return Floats::load(from); }
    void store(Floats x, float* to) const { x.store(to); }
    Floats only(Floats x) const { return x; }
};

struct PartOfVector {
    std::size_t count;

    Floats load(const float* from) const { return Floats::load_some(from, count); }
    void store(Floats x, float* to) const { x.store_some(to, count); }
    // Zeros behind, which add nothing.
    Floats only(Floats x) const {
        float lanes[Floats::kWidth];
        x.store(lanes);
        return load(lanes);
    }
};

// step(which sum, column, vector)
template <class Step>
inline void each_vector(std::size_t columns, Step&& step) {
    constexpr std::size_t kWidth = Floats::kWidth;
    std::size_t d = 0;
    for (; d + kSums * kWidth <= columns; d += kSums * kWidth)
        for (std::size_t i = 0; i < kSums; ++i) step(i, d + i * kWidth, WholeVector{});
    for (; d + kWidth <= columns; d += kWidth) step(0, d, WholeVector{});
    if (d < columns) step(0, d, PartOfVector{columns - d});
}

inline float total(const Floats (&sums)[kSums]) {
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])).sum();
}

// The mean is taken twice: a sum of large numbers is rounded by more than their differences may be,
// and what is left of them beside the first mean is small. Nor is the variance a difference of
// large squares.
void normalise_row(const AddLayerNormalization& a, std::size_t row) {
    const std::size_t columns = a.columns;
    const float* x = a.x + row * columns;
    const float* y = a.y + row * columns;
    float* sum = a.sum + row * columns;
    float* output = a.output + row * columns;
    const float count = static_cast<float>(columns);

    Floats sums[kSums] = {Floats::zero(), Floats::zero(), Floats::zero(), Floats::zero()};
    each_vector(columns, [&](std::size_t i, std::size_t d, auto vector) {
        const Floats both = vector.load(x + d) + vector.load(y + d);
        vector.store(both, sum + d);
        sums[i] = sums[i] + both;
    });
    const Floats mean = Floats::fill(total(sums) / count);

    Floats rests[kSums] = {Floats::zero(), Floats::zero(), Floats::zero(), Floats::zero()};
    Floats squares[kSums] = {Floats::zero(), Floats::zero(), Floats::zero(), Floats::zero()};
    each_vector(columns, [&](std::size_t i, std::size_t d, auto vector) {
        const Floats rest = vector.load(sum + d) - vector.only(mean);
        rests[i] = rests[i] + rest;
        squares[i] = fused(rest, rest, squares[i]);
    });
    const float rest_mean = total(rests) / count;
    // Rounding may make it less than nothing; NaN stays NaN.
    const float variance = larger(total(squares) / count - rest_mean * rest_mean, 0.0f);
    const float scale = 1.0f / std::sqrt(variance + a.epsilon);

    const Floats scales = Floats::fill(scale), shift = Floats::fill(-rest_mean * scale);
    each_vector(columns, [&](std::size_t, std::size_t d, auto vector) {
        const Floats normal = fused(vector.load(sum + d) - mean, scales, shift);
        vector.store(fused(normal, vector.load(a.weight + d), vector.load(a.bias + d)),
                     output + d);
    });
}

}  // namespace

void add_layer_normalization(const AddLayerNormalization& a, const Threads& threads) {
    // A float of the four that are moved takes about as long as 4 multiplications.
    const std::size_t work = 16 * a.rows * a.columns;
    each_run(threads, a.rows, work, [&](std::size_t first, std::size_t last) {
        for (std::size_t row = first; row < last; ++row) normalise_row(a, row);
    });
}

}  // namespace pegasus::PEGASUS_SET
