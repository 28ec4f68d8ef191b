#include "operators.h"

namespace pegasus {

namespace {

// The encoder's: qkv [B * S, 3 * D] of queries, keys and values side by side, attention_mask [B, S]
// -> [B, S, D].
class SelfAttentionKernel {
  public:
    static constexpr const char* name = "SelfAttention";
    static constexpr Input inputs[] = {{kFloat}, {kInt64}};
    static constexpr std::size_t outputs = 1;

    explicit SelfAttentionKernel(const NodeInfo& info)
        : heads_(info.attribute("num_heads", 1)), may_round_(info.attribute_or("half", 0) != 0) {}

    void compute(const Run& run) const {
        const Tensor qkv = run.input(0, 2, "qkv"), mask = run.input(1, 2, "attention_mask");
        const std::int64_t head_dim = size_of_head(qkv, 3 * heads_, "qkv");
        const std::int64_t batch = mask.shape[0], length = mask.shape[1];
        const std::int64_t d_model = heads_ * head_dim;
        expect_shape(qkv, {batch * length, 3 * d_model}, "qkv");
        const auto width = static_cast<std::size_t>(d_model);
        chosen().block_sparse_attention(
            {.query = qkv.as<float>(),
             .key = qkv.as<float>() + width,
             .value = qkv.as<float>() + 2 * width,
             .stride = 3 * width,
             .mask = mask.as<std::int64_t>(),
             .random_blocks = nullptr,
             .output = static_cast<float*>(run.output(0, {batch, length, d_model})),
             .batch = mask.size(0),
             .length = mask.size(1),
             .heads = static_cast<std::size_t>(heads_),
             .head_dim = static_cast<std::size_t>(head_dim),
             .block_size = 1,
             .num_random = 0,
             .longest_full = mask.size(1),
             .table_rows = 0,
             .may_round = may_round_},
            run.threads());
    }

  private:
    std::int64_t heads_;
    bool may_round_;
};

}  // namespace

const OrtCustomOp& self_attention_operator() { return operator_of<SelfAttentionKernel>(); }

}  // namespace pegasus
