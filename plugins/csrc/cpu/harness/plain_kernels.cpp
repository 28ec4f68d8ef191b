#include "plain_kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string_view>
#include <vector>

namespace pegasus::plain {

namespace {

struct Seen {
    const float* key;
    const float* value;
    double bias = 0;
};

void attend(const float* query, const std::vector<Seen>& seen, std::size_t head_dim,
            float* output) {
    std::vector<double> weights, mixed(head_dim);
    double largest = -std::numeric_limits<double>::infinity(), sum = 0;
    for (const Seen& each : seen) {
        double score = 0;
        for (std::size_t d = 0; d < head_dim; ++d) score += double{query[d]} * each.key[d];
        weights.push_back(score / std::sqrt(static_cast<double>(head_dim)) + each.bias);
        largest = std::max(largest, weights.back());
    }
    for (std::size_t i = 0; i < seen.size(); ++i) {
        const double weight = std::exp(weights[i] - largest);
        sum += weight;
        for (std::size_t d = 0; d < head_dim; ++d) mixed[d] += weight * seen[i].value[d];
    }
    for (std::size_t d = 0; d < head_dim; ++d) output[d] = static_cast<float>(mixed[d] / sum);
}

// Of one document and head.
struct Head {
    const BlockSparseAttention& a;
    std::size_t document, head;

    std::size_t place(std::size_t token) const {
        return (document * a.length + token) * a.stride + head * a.head_dim;
    }
    std::size_t output_place(std::size_t token) const {
        return ((document * a.length + token) * a.heads + head) * a.head_dim;
    }
    bool is_token(std::size_t token) const { return a.mask[document * a.length + token] != 0; }

    void see(std::size_t begin, std::size_t end, double bias, std::vector<Seen>& seen) const {
        for (std::size_t i = begin; i < std::min(end, a.length); ++i)
            if (is_token(i)) seen.push_back({a.key + place(i), a.value + place(i), bias});
    }
};

std::vector<Seen> find_seen(const Head& head, std::size_t block, std::size_t blocks) {
    const BlockSparseAttention& a = head.a;
    std::vector<Seen> seen;
    const auto see = [&](std::size_t which, double bias) {
        head.see(which * a.block_size, (which + 1) * a.block_size, bias, seen);
    };
    if (block == 0 || block == blocks - 1) {
        head.see(0, a.length, 0, seen);
        return seen;
    }
    see(0, a.random_blocks ? 0 : std::log(1.0 + static_cast<double>(a.num_random)));
    for (std::size_t near = block - 1; near <= block + 1; ++near)
        if (near > 0 && near < blocks - 1) see(near, 0);
    see(blocks - 1, 0);
    if (!a.random_blocks) return seen;
    const std::int64_t* row = a.random_blocks +
                              (head.head * a.table_rows + block - 1) * a.num_random;
    for (std::size_t i = 0; i < a.num_random; ++i)
        if (static_cast<std::size_t>(row[i]) < blocks) see(static_cast<std::size_t>(row[i]), 0);
    return seen;
}

std::vector<Seen> find_all(const Head& head) {
    std::vector<Seen> seen;
    head.see(0, head.a.length, 0, seen);
    return seen;
}

void attend_blocks(const Head& head) {
    const BlockSparseAttention& a = head.a;
    const bool is_sparse = a.length > a.longest_full;
    const std::size_t blocks = (a.length + a.block_size - 1) / a.block_size;
    const std::vector<float> zeros(a.head_dim);
    for (std::size_t i = 0; i < a.length; ++i) {
        float* output = a.output + head.output_place(i);
        if (is_sparse && !head.is_token(i)) {
            std::copy(zeros.begin(), zeros.end(), output);
            continue;
        }
        auto seen = is_sparse ? find_seen(head, i / a.block_size, blocks) : find_all(head);
        if (seen.empty())  // all are padding, and count alike
            for (std::size_t t = 0; t < a.length; ++t)
                seen.push_back({zeros.data(), a.value + head.place(t)});
        attend(a.query + head.place(i), seen, a.head_dim, output);
    }
}

std::vector<float> as_floats(const void* data, std::size_t count, bool is_half,
                             bool is_bfloat16) {
    std::vector<float> floats(count);
    for (std::size_t i = 0; i < count; ++i)
        floats[i] = is_half ? from_half(static_cast<const Half*>(data)[i], is_bfloat16)
                            : static_cast<const float*>(data)[i];
    return floats;
}

}  // namespace

bool keeps_bfloat16(const Kernels& kernels) {
    return std::string_view(kernels.instructions).ends_with("bf16");
}

float from_half(Half half, bool is_bfloat16) {
    if (is_bfloat16) return std::bit_cast<float>(std::uint32_t{half} << 16);
    const int exponent = half >> 10 & 31, rest = half & 1023;
    double size = exponent ? std::ldexp(1024 + rest, exponent - 25) : std::ldexp(rest, -24);
    if (exponent == 31) size = rest ? NAN : HUGE_VAL;
    return static_cast<float>(half >> 15 ? -size : size);
}

float rounded_to_half(float x, bool is_bfloat16) {
    if (!std::isfinite(x) || x == 0) return x;
    const int least = is_bfloat16 ? -126 : -14, digits = is_bfloat16 ? 7 : 10;
    const double largest = is_bfloat16 ? 3.3895313892515355e38 : 65504;
    const double step = std::ldexp(1.0, std::max(std::ilogb(x), least) - digits);
    const double rounded = std::nearbyint(x / step) * step;
    return static_cast<float>(std::fabs(rounded) > largest ? std::copysign(HUGE_VAL, x) : rounded);
}

void int8_linear(const Int8Linear& a, const std::int8_t* weight, bool is_transposed) {
    const std::size_t depth = a.weight.depth, columns = a.weight.columns;
    const float zero = a.is_positive ? 0.0f : 128.0f;
    const float step = a.is_positive ? 1.0f / 255.0f : 1.0f / 127.0f;
    for (std::size_t row = 0; row < a.rows; ++row) {
        const float* x = a.input + row * depth;
        float largest = a.is_positive ? x[0] : std::fabs(x[0]);
        for (std::size_t k = 0; k < depth; ++k)
            largest = std::max(largest, a.is_positive ? x[k] : std::fabs(x[k]));
        for (std::size_t n = 0; n < columns; ++n) {
            std::int32_t sum = 0;
            for (std::size_t k = 0; k < depth; ++k) {
                const float whole = std::nearbyint(x[k] / largest / step) + zero;
                const int rounded = static_cast<int>(std::clamp(whole, 0.0f, 255.0f) - zero);
                sum += rounded * weight[is_transposed ? n * depth + k : k * columns + n];
            }
            float y = static_cast<float>(sum) * (step * a.scale[n]) * largest;
            if (a.bias) y += a.bias[n];
            a.output[row * columns + n] = a.rectify ? std::max(y, 0.0f) : y;
        }
    }
}

void source_attention(const SourceAttention& a, bool is_bfloat16) {
    const std::size_t floats = a.batch * a.heads * a.length * a.head_dim;
    const auto keys = as_floats(a.key, floats, a.is_half, is_bfloat16);
    const auto values = as_floats(a.value, floats, a.is_half, is_bfloat16);
    const std::vector<float> zeros(a.head_dim);
    for (std::size_t i = 0; i < a.batch * a.rows * a.heads; ++i) {
        const std::size_t document = i / a.heads / a.rows, head = i % a.heads;
        const std::int64_t* mask = a.mask + document * a.length;
        const bool is_blank = std::all_of(mask, mask + a.length, [](auto x) { return x == 0; });
        std::vector<Seen> seen;
        for (std::size_t s = 0; s < a.length; ++s) {
            const std::size_t at = ((document * a.heads + head) * a.length + s) * a.head_dim;
            if (is_blank) seen.push_back({zeros.data(), values.data() + at});
            if (mask[s] != 0) seen.push_back({keys.data() + at, values.data() + at});
        }
        attend(a.query + i * a.head_dim, seen, a.head_dim, a.output + i * a.head_dim);
    }
}

void beam_attention(const BeamAttention& a) {
    const std::size_t numbers = a.batch * a.rows * a.heads * a.capacity * a.head_dim;
    auto keys = as_floats(a.key, numbers, a.is_half, false);
    auto values = as_floats(a.value, numbers, a.is_half, false);
    const auto place = [&](std::size_t row, std::size_t head, std::size_t t) {
        return ((row * a.heads + head) * a.capacity + t) * a.head_dim;
    };
    for (std::size_t i = 0; i < a.batch * a.rows * a.heads; ++i) {
        const std::size_t row = i / a.heads, head = i % a.heads;
        const std::size_t from = row * a.stride + head * a.head_dim;
        const std::size_t own = place(row, head, a.position);
        for (std::size_t d = 0; d < a.head_dim; ++d) {
            const float key = a.new_key[from + d], value = a.new_value[from + d];
            keys[own + d] = a.is_half ? rounded_to_half(key, false) : key;
            values[own + d] = a.is_half ? rounded_to_half(value, false) : value;
        }
    }
    for (std::size_t i = 0; i < a.batch * a.rows * a.heads; ++i) {
        const std::size_t row = i / a.heads, head = i % a.heads;
        std::vector<Seen> seen;
        for (std::size_t t = 0; t <= a.position; ++t) {
            const std::size_t beam = t == a.position
                                         ? row % a.rows
                                         : static_cast<std::size_t>(a.indirection[row * a.capacity + t]);
            const std::size_t at = place(row / a.rows * a.rows + beam, head, t);
            seen.push_back({keys.data() + at, values.data() + at});
        }
        attend(a.query + row * a.stride + head * a.head_dim, seen, a.head_dim,
               a.output + i * a.head_dim);
    }
}

void block_sparse_attention(const BlockSparseAttention& a) {
    for (std::size_t document = 0; document < a.batch; ++document)
        for (std::size_t head = 0; head < a.heads; ++head)
            attend_blocks({.a = a, .document = document, .head = head});
}

void add_layer_normalization(const AddLayerNormalization& a) {
    for (std::size_t row = 0; row < a.rows; ++row) {
        const std::size_t begin = row * a.columns, end = begin + a.columns;
        const auto count = static_cast<double>(a.columns);
        double mean = 0, variance = 0;
        for (std::size_t i = begin; i < end; ++i) mean += (a.sum[i] = a.x[i] + a.y[i]) / count;
        for (std::size_t i = begin; i < end; ++i)
            variance += (a.sum[i] - mean) * (a.sum[i] - mean) / count;
        const double scale = 1 / std::sqrt(variance + double{a.epsilon});
        for (std::size_t i = begin; i < end; ++i)
            a.output[i] = static_cast<float>((a.sum[i] - mean) * scale * a.weight[i - begin] +
                                             a.bias[i - begin]);
    }
}

void log_softmax(const LogSoftmaxTopK& a) {
    for (std::size_t row = 0; row < a.rows; ++row) {
        const float* x = a.logits + row * a.columns;
        const double largest = *std::max_element(x, x + a.columns);
        double sum = 0;
        for (std::size_t i = 0; i < a.columns; ++i) sum += std::exp(x[i] - largest);
        for (std::size_t i = 0; i < a.columns; ++i)
            a.log_probs[row * a.columns + i] = static_cast<float>(x[i] - largest - std::log(sum));
    }
}

void top_k(const LogSoftmaxTopK& a) {
    for (std::size_t row = 0; row < a.rows; ++row) {
        const float* scores = a.log_probs + row * a.columns;
        std::vector<std::int64_t> order(a.columns);
        for (std::size_t i = 0; i < a.columns; ++i) order[i] = static_cast<std::int64_t>(i);
        std::stable_sort(order.begin(), order.end(),
                         [&](auto i, auto other) { return scores[i] > scores[other]; });
        for (std::size_t i = 0; i < a.count; ++i) {
            a.top_ids[row * a.count + i] = order[i];
            a.top_scores[row * a.count + i] = scores[order[i]];
        }
    }
}

}  // namespace pegasus::plain
