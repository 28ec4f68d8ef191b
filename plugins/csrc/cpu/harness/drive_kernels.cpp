// Calls every kernel of every set of instructions that the processor has with random shapes, and
// compares it with plain loops. Every buffer ends where its data ends: built with a sanitizer, as
// `make kernels-check` does, a read beyond it is the end of the program, as is a race.
//
//     drive_kernels [rounds [seed]]
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "plain_kernels.h"
#include "plain_threads.h"

namespace pegasus {

namespace {

std::mt19937 random_bits;
int failures = 0;

std::size_t pick(std::size_t least, std::size_t most) {
    return least + random_bits() % (most - least + 1);
}
bool toss() { return pick(0, 1) == 1; }
float normal() { return std::normal_distribution<float>()(random_bits); }

std::vector<float> floats(std::size_t count) {
    std::vector<float> made(count);
    for (float& x : made) x = normal();
    return made;
}

// From about 2^-5 to 2, of both signs.
std::vector<Half> halves(std::size_t count, bool is_bfloat16) {
    std::vector<Half> made(count);
    const std::size_t digits = is_bfloat16 ? 7 : 10, one = is_bfloat16 ? 127 : 15;
    for (Half& x : made)
        x = static_cast<Half>(pick(0, 1) << 15 | pick(one - 5, one) << digits |
                              pick(0, (1u << digits) - 1));
    return made;
}

// Padding at the end, holes, or nothing but padding.
std::vector<std::int64_t> masks(std::size_t batch, std::size_t length) {
    std::vector<std::int64_t> made(batch * length);
    for (std::size_t b = 0; b < batch; ++b) {
        const std::size_t kind = pick(0, 7), end = kind ? pick(1, length) : 0;
        for (std::size_t s = 0; s < end; ++s) made[b * length + s] = kind > 1 || toss();
    }
    return made;
}

void compare(const std::vector<float>& found, const std::vector<float>& expected, float tolerance,
             const std::string& what) {
    for (std::size_t i = 0; i < expected.size(); ++i) {
        if (std::fabs(found[i] - expected[i]) <= tolerance) continue;
        std::printf("FAILED %s: value %zu is %.9g, expected %.9g\n", what.c_str(), i,
                    static_cast<double>(found[i]), static_cast<double>(expected[i]));
        ++failures;
        return;
    }
}

// Of values of about unit size.
constexpr float kTolerance = 2e-5f, kBfloat16Tolerance = 2e-2f;

std::string text(const char* kernel, const Kernels& kernels, std::vector<std::size_t> sizes) {
    std::string made = std::string(kernel) + " of " + kernels.instructions + ", sizes";
    for (const std::size_t size : sizes) made.append(" ").append(std::to_string(size));
    return made;
}

struct FreeAligned {
    void operator()(std::int8_t* memory) const { ::operator delete(memory, std::align_val_t{64}); }
};

void drive_int8_linear(const Kernels& kernels, const Threads& threads) {
    if (!kernels.int8_linear) return;
    const std::size_t rows = pick(0, toss() ? 20 : 300), depth = pick(1, 400);
    const std::size_t columns = pick(1, 200);
    const bool is_transposed = toss(), is_positive = toss();
    std::vector<std::int8_t> weight(depth * columns);
    for (std::int8_t& w : weight) w = static_cast<std::int8_t>(static_cast<int>(pick(0, 128)) - 64);
    std::vector<float> x = floats(rows * depth);
    for (float& each : x) each = is_positive ? std::fabs(each) : each;
    const std::vector<float> scale = floats(columns), bias = floats(columns);

    const std::size_t panels = (columns + kPanelColumns - 1) / kPanelColumns;
    const std::size_t bytes = panels * kPanelColumns * ((depth + 3) / kPanelDepth * kPanelDepth);
    const std::unique_ptr<std::int8_t, FreeAligned> values(
        static_cast<std::int8_t*>(::operator new(bytes, std::align_val_t{64})));
    std::vector<std::int32_t> sums(panels * kPanelColumns);
    std::vector<float> found(rows * columns, 7), expected(rows * columns);
    Int8Linear a{.input = x.data(),
                 .output = found.data(),
                 .rows = rows,
                 .weight = {depth, columns, values.get(), sums.data()},
                 .scale = scale.data(),
                 .bias = toss() ? bias.data() : nullptr,
                 .is_positive = is_positive,
                 .rectify = toss()};
    kernels.pack_int8(weight.data(), is_transposed, a.weight);
    kernels.int8_linear(a, threads);
    a.output = expected.data();
    plain::int8_linear(a, weight.data(), is_transposed);
    compare(found, expected, 0, text("int8_linear", kernels, {rows, depth, columns}));
}

void drive_keep_source(const Kernels& kernels, const Threads& threads) {
    if (!kernels.keep_source) return;
    const std::size_t batch = pick(0, 3), length = pick(0, 90), heads = pick(1, 5);
    const std::size_t head_dim = pick(1, 70), count = batch * length * heads * head_dim;
    const std::vector<float> x = floats(count);
    std::vector<float> found(count, 7), expected(count);
    std::vector<Half> kept(count);
    const bool is_bfloat16 = plain::keeps_bfloat16(kernels);
    kernels.keep_source({x.data(), kept.data(), batch, length, heads, head_dim}, threads);
    for (std::size_t i = 0; i < count; ++i) found[i] = plain::from_half(kept[i], is_bfloat16);
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t d = i % head_dim, s = i / head_dim % length;
        const std::size_t h = i / head_dim / length % heads, b = i / head_dim / length / heads;
        const float from = x[((b * length + s) * heads + h) * head_dim + d];
        expected[i] = plain::rounded_to_half(from, is_bfloat16);
    }
    compare(found, expected, 0, text("keep_source", kernels, {batch, length, heads, head_dim}));
}

void drive_source_attention(const Kernels& kernels, const Threads& threads) {
    if (!kernels.source_attention) return;
    const std::size_t batch = pick(1, 3), rows = pick(0, 17), heads = pick(1, 5);
    const std::size_t head_dim = toss() ? 64 : pick(1, 100), length = pick(1, 300);
    const std::size_t kept = batch * heads * length * head_dim;
    const std::size_t count = batch * rows * heads * head_dim;
    const std::vector<float> query = floats(count), keys = floats(kept), values = floats(kept);
    const bool is_half = toss(), is_bfloat16 = plain::keeps_bfloat16(kernels);
    const std::vector<Half> half_keys = halves(kept, is_bfloat16);
    const std::vector<Half> half_values = halves(kept, is_bfloat16);
    const std::vector<std::int64_t> mask = masks(batch, length);
    std::vector<float> found(count, 7), expected(count);
    const void* key = is_half ? static_cast<const void*>(half_keys.data()) : keys.data();
    const void* value = is_half ? static_cast<const void*>(half_values.data()) : values.data();
    SourceAttention a{.query = query.data(),
                      .key = key,
                      .value = value,
                      .mask = mask.data(),
                      .output = found.data(),
                      .batch = batch,
                      .rows = rows,
                      .heads = heads,
                      .head_dim = head_dim,
                      .length = length,
                      .is_half = is_half};
    kernels.source_attention(a, threads);
    a.output = expected.data();
    plain::source_attention(a, is_bfloat16);
    // Queries and weights are rounded to bfloat16, too: 2^-9 of each.
    compare(found, expected, is_half && is_bfloat16 ? kBfloat16Tolerance : kTolerance,
            text("source_attention", kernels, {batch, rows, heads, head_dim, length, is_half}));
}

void drive_beam_attention(const Kernels& kernels, const Threads& threads) {
    if (!kernels.beam_attention) return;
    const std::size_t batch = pick(1, 3), rows = pick(1, 9), heads = pick(1, 5);
    const std::size_t head_dim = toss() ? 64 : pick(1, 100), capacity = pick(1, 150);
    const std::size_t position = pick(0, capacity - 1), width = heads * head_dim;
    const std::size_t stride = toss() ? width : 3 * width;
    const std::vector<float> query = floats(batch * rows * stride), key = floats(query.size());
    const std::vector<float> value = floats(query.size());
    const std::size_t kept = batch * rows * width * capacity;
    const bool is_half = toss();
    std::vector<float> keys = floats(kept), values = floats(kept);
    std::vector<Half> half_keys = halves(kept, false), half_values = halves(kept, false);
    std::vector<std::int32_t> indirection(batch * rows * capacity);
    for (std::size_t i = 0; i < indirection.size(); ++i) {
        const bool is_past = i % capacity < position;  // nobody reads what is to come
        indirection[i] = is_past ? static_cast<std::int32_t>(pick(0, rows - 1)) : -9;
    }
    const auto as_kept = [&](float x) {
        return is_half ? plain::rounded_to_half(x, false) : x;
    };
    const auto kept_floats = [&](const void* data) {
        std::vector<float> numbers(kept);
        for (std::size_t i = 0; i < kept; ++i)
            numbers[i] = is_half ? plain::from_half(static_cast<const Half*>(data)[i], false)
                                 : static_cast<const float*>(data)[i];
        return numbers;
    };
    std::vector<float> found(batch * rows * width, 7), expected(found.size());
    BeamAttention a{.query = query.data(),
                    .new_key = key.data(),
                    .new_value = value.data(),
                    .stride = stride,
                    .key = is_half ? static_cast<void*>(half_keys.data()) : keys.data(),
                    .value = is_half ? static_cast<void*>(half_values.data()) : values.data(),
                    .indirection = indirection.data(),
                    .output = found.data(),
                    .batch = batch,
                    .rows = rows,
                    .heads = heads,
                    .head_dim = head_dim,
                    .capacity = capacity,
                    .position = position,
                    .is_half = is_half};
    BeamAttention same = a;
    same.output = expected.data();
    plain::beam_attention(same);
    const std::string what =
        text("beam_attention", kernels, {batch, rows, heads, head_dim, capacity, position, is_half});
    std::vector<float> expected_keys = kept_floats(a.key), expected_values = kept_floats(a.value);
    for (std::size_t i = 0; i < batch * rows * width; ++i) {
        const std::size_t from = i / width * stride + i % width;
        const std::size_t to = (i / head_dim * capacity + position) * head_dim + i % head_dim;
        expected_keys[to] = as_kept(key[from]), expected_values[to] = as_kept(value[from]);
    }
    kernels.beam_attention(a, threads);
    compare(found, expected, kTolerance, what);
    compare(kept_floats(a.key), expected_keys, 0, what + ": keys");
    compare(kept_floats(a.value), expected_values, 0, what + ": values");
}

void drive_block_sparse_attention(const Kernels& kernels, const Threads& threads) {
    if (!kernels.block_sparse_attention) return;
    const std::size_t batch = pick(1, 2), heads = pick(1, 3), head_dim = toss() ? 64 : pick(1, 100);
    const std::size_t block_size = pick(1, 40), length = pick(4 * block_size + 1, 12 * block_size);
    const std::size_t blocks = (length + block_size - 1) / block_size;
    const std::size_t count = batch * length * heads * head_dim;
    const std::size_t num_random = pick(0, 3), table_rows = blocks - 2 + pick(0, 2);
    // Side by side, with something between rows.
    const std::size_t width = heads * head_dim, stride = 3 * width + pick(0, 5);
    const std::vector<float> qkv = floats(batch * length * stride);
    const std::vector<std::int64_t> mask = masks(batch, length);
    std::vector<std::int64_t> table(heads * table_rows * num_random);
    for (std::int64_t& block : table) block = static_cast<std::int64_t>(pick(1, blocks + 2));
    std::vector<float> found(count, 7), expected(count);
    BlockSparseAttention a{.query = qkv.data(),
                           .key = qkv.data() + width,
                           .value = qkv.data() + 2 * width,
                           .stride = stride,
                           .mask = mask.data(),
                           .random_blocks = toss() ? table.data() : nullptr,
                           .output = found.data(),
                           .batch = batch,
                           .length = length,
                           .heads = heads,
                           .head_dim = head_dim,
                           .block_size = block_size,
                           .num_random = num_random,
                           .longest_full = toss() ? length : length - 1,
                           .table_rows = table_rows,
                           .may_round = toss()};
    kernels.block_sparse_attention(a, threads);
    a.output = expected.data();
    plain::block_sparse_attention(a);
    const bool is_rounded = a.may_round && plain::keeps_bfloat16(kernels);
    compare(found, expected, is_rounded ? kBfloat16Tolerance : kTolerance,
            text("block_sparse_attention", kernels,
                 {batch, length, heads, head_dim, block_size, num_random, a.longest_full}));
}

void drive_add_layer_normalization(const Kernels& kernels, const Threads& threads) {
    if (!kernels.add_layer_normalization) return;
    const std::size_t rows = pick(0, toss() ? 9 : 300), columns = pick(1, toss() ? 70 : 600);
    const std::vector<float> x = floats(rows * columns), y = floats(rows * columns);
    const std::vector<float> weight = floats(columns), bias = floats(columns);
    std::vector<float> sum(rows * columns, 7), found(rows * columns, 7);
    std::vector<float> expected_sum(rows * columns), expected(rows * columns);
    AddLayerNormalization a{.x = x.data(),
                            .y = y.data(),
                            .weight = weight.data(),
                            .bias = bias.data(),
                            .sum = sum.data(),
                            .output = found.data(),
                            .rows = rows,
                            .columns = columns,
                            .epsilon = 1e-5f};
    kernels.add_layer_normalization(a, threads);
    a.sum = expected_sum.data(), a.output = expected.data();
    plain::add_layer_normalization(a);
    const std::string what = text("add_layer_normalization", kernels, {rows, columns});
    compare(found, expected, kTolerance, what);
    compare(sum, expected_sum, 0, what + ": sums");
}

void drive_log_softmax_top_k(const Kernels& kernels, const Threads& threads) {
    if (!kernels.log_softmax_top_k) return;
    const std::size_t rows = pick(0, 9), columns = pick(1, toss() ? 100 : 20000);
    const std::size_t count = pick(0, toss() ? columns : std::min<std::size_t>(columns, 20));
    std::vector<float> x = floats(rows * columns);
    if (toss())  // many that are equal
        for (float& each : x) each = std::round(each);
    std::vector<float> found(x.size(), 7), expected(x.size());
    std::vector<float> scores(rows * count, 7), expected_scores(scores.size());
    std::vector<std::int64_t> ids(scores.size(), 7), expected_ids(scores.size());
    LogSoftmaxTopK a{.logits = x.data(),
                     .log_probs = found.data(),
                     .top_scores = scores.data(),
                     .top_ids = ids.data(),
                     .rows = rows,
                     .columns = columns,
                     .count = count};
    kernels.log_softmax_top_k(a, threads);
    const std::string what = text("log_softmax_top_k", kernels, {rows, columns, count});
    a.top_scores = expected_scores.data(), a.top_ids = expected_ids.data();
    plain::top_k(a);
    compare(scores, expected_scores, 0, what + ": scores");
    compare(std::vector<float>(ids.begin(), ids.end()),
            std::vector<float>(expected_ids.begin(), expected_ids.end()), 0, what + ": ids");
    a.log_probs = expected.data();
    plain::log_softmax(a);
    compare(found, expected, kTolerance, what);
}

void drive(const Kernels& kernels, int rounds) {
    for (int round = 0; round < rounds; ++round) {
        PlainThreads pool(static_cast<std::size_t>(round) % 3 + 1);
        const Threads threads = pool.threads();
        drive_int8_linear(kernels, threads);
        drive_keep_source(kernels, threads);
        drive_source_attention(kernels, threads);
        drive_beam_attention(kernels, threads);
        drive_block_sparse_attention(kernels, threads);
        drive_add_layer_normalization(kernels, threads);
        drive_log_softmax_top_k(kernels, threads);
    }
    std::printf("%s: %d rounds\n", kernels.instructions, rounds);
}

}  // namespace

}  // namespace pegasus

int main(int count, char** arguments) {
    const int rounds = count > 1 ? std::atoi(arguments[1]) : 30;
    pegasus::random_bits.seed(count > 2 ? static_cast<unsigned>(std::atoi(arguments[2])) : 0u);
    for (const char* set : {"avx512bf16", "avx512", "avx2", "neon"})
        if (const pegasus::Kernels* kernels = pegasus::find_kernels(set))
            pegasus::drive(*kernels, rounds);
    return pegasus::failures ? 1 : 0;
}
