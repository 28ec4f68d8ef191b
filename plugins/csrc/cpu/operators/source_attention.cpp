#include "operators.h"

namespace pegasus {

namespace {

// [B, S, H * Dh] -> [B, H, S, Dh] of floats, or [B, H, S, Dh / 2] words of two halves each.
class KeepSourceKernel {
  public:
    static constexpr const char* name = "KeepSource";
    static constexpr Input inputs[] = {{kFloat}};
    static constexpr std::size_t outputs = 1;

    explicit KeepSourceKernel(const NodeInfo& info)
        : heads_(info.attribute("num_heads", 1)), is_half_(info.attribute_or("half", 0) != 0) {}

    void compute(const Run& run) const {
        const Tensor x = run.input(0, 3, "x");
        const std::int64_t batch = x.shape[0], length = x.shape[1];
        const std::int64_t head_dim = size_of_head(x, heads_, "x");
        if (is_half_ && head_dim % 2 != 0)
            throw OperatorError("x is " + text_of(x.shape) + ", expected heads of even size");
        const std::int64_t words = is_half_ ? head_dim / 2 : head_dim;
        chosen().keep_source({.input = x.as<float>(),
                              .output = run.output(0, {batch, heads_, length, words}),
                              .batch = x.size(0),
                              .length = x.size(1),
                              .heads = static_cast<std::size_t>(heads_),
                              .head_dim = static_cast<std::size_t>(head_dim),
                              .is_half = is_half_},
                             run.threads());
    }

  private:
    std::int64_t heads_;
    bool is_half_;
};

// q [B, R, D], key and value [B, H, S, W], mask [B, S] -> [B, R, D].
class SourceAttentionKernel {
  public:
    static constexpr const char* name = "SourceAttention";
    static constexpr Input inputs[] = {{kFloat}, {kFloat}, {kFloat}, {kInt64}};
    static constexpr std::size_t outputs = 1;

    explicit SourceAttentionKernel(const NodeInfo& info) : heads_(info.attribute("num_heads", 1)) {}

    void compute(const Run& run) const {
        const Tensor q = run.input(0, 3, "query"), key = run.input(1, 4, "key");
        const Tensor value = run.input(2), mask = run.input(3);
        const std::int64_t batch = q.shape[0], head_dim = size_of_head(q, heads_, "query");
        const std::int64_t length = key.shape[2], words = key.shape[3];
        const bool is_half = words != head_dim;
        if (is_half && words * 2 != head_dim)
            throw OperatorError("query is " + text_of(q.shape) + ", key " + text_of(key.shape) +
                                ": expected heads of as many floats, or twice as many halves");
        expect_shape(key, {batch, heads_, length, words}, "key");
        expect_shape(value, key.shape, "value");
        expect_shape(mask, {batch, length}, "mask");
        check_head_dim(head_dim);
        if (length == 0) throw OperatorError("key has no tokens, expected one or more");
        chosen().source_attention({.query = q.as<float>(),
                                   .key = key.data,
                                   .value = value.data,
                                   .mask = mask.as<std::int64_t>(),
                                   .output = static_cast<float*>(run.output(0, q.shape)),
                                   .batch = q.size(0),
                                   .rows = q.size(1),
                                   .heads = static_cast<std::size_t>(heads_),
                                   .head_dim = static_cast<std::size_t>(head_dim),
                                   .length = key.size(2),
                                   .is_half = is_half},
                                  run.threads());
    }

  private:
    std::int64_t heads_;
};

}  // namespace

void check_head_dim(std::int64_t head_dim) {
    if (head_dim < 1 || head_dim > static_cast<std::int64_t>(kMaxHeadDim))
        throw OperatorError("heads have " + std::to_string(head_dim) + " numbers, expected 1 to " +
                            std::to_string(kMaxHeadDim));
}

const OrtCustomOp& keep_source_operator() {
    static const Operator<KeepSourceKernel> made;
    return made;
}

const OrtCustomOp& source_attention_operator() {
    static const Operator<SourceAttentionKernel> made;
    return made;
}

}  // namespace pegasus
