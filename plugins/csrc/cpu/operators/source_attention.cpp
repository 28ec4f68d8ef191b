#include "operators.h"

namespace pegasus {

namespace {

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

const OrtCustomOp& source_attention_operator() { return operator_of<SourceAttentionKernel>(); }

}  // namespace pegasus
