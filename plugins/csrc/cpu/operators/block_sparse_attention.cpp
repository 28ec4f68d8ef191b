#include "operators.h"

namespace pegasus {

namespace {

// query, key, value [B, S, D], attention_mask [B, S], random_blocks [H, rows, r] or none
// -> [B, S, D].
class BlockSparseAttentionKernel {
  public:
    static constexpr const char* name = "BlockSparseAttention";
    static constexpr Input inputs[] = {{kFloat}, {kFloat}, {kFloat}, {kInt64}, {kInt64, true}};
    static constexpr std::size_t outputs = 1;

    explicit BlockSparseAttentionKernel(const NodeInfo& info)
        : heads_(info.attribute("num_heads", 1)),
          block_size_(info.attribute("block_size", 1)),
          num_random_(info.attribute("num_random_blocks")),
          longest_full_(info.attribute("longest_full")),
          may_round_(info.attribute_or("half", 0) != 0) {}

    void compute(const Run& run) const {
        const Tensor q = run.input(0, 3, "query"), k = run.input(1), v = run.input(2);
        const Tensor mask = run.input(3), table = run.input(4);
        const std::int64_t head_dim = size_of_head(q, heads_, "query");
        expect_shape(k, q.shape, "key");
        expect_shape(v, q.shape, "value");
        expect_shape(mask, {q.shape[0], q.shape[1]}, "attention_mask");
        const std::int64_t blocks = (q.shape[1] + block_size_ - 1) / block_size_;
        const bool is_sparse = q.shape[1] > longest_full_;
        if (is_sparse && blocks < 3)
            throw OperatorError("query has " + std::to_string(blocks) + " blocks, expected three");
        if (table) check_table(table, is_sparse ? blocks - 2 : 0);
        chosen().block_sparse_attention(
            {.query = q.as<float>(),
             .key = k.as<float>(),
             .value = v.as<float>(),
             .stride = q.size(2),
             .mask = mask.as<std::int64_t>(),
             .random_blocks = table ? table.as<std::int64_t>() : nullptr,
             .output = static_cast<float*>(run.output(0, q.shape)),
             .batch = q.size(0),
             .length = q.size(1),
             .heads = static_cast<std::size_t>(heads_),
             .head_dim = static_cast<std::size_t>(head_dim),
             .block_size = static_cast<std::size_t>(block_size_),
             .num_random = table ? table.size(2) : static_cast<std::size_t>(num_random_),
             .longest_full = static_cast<std::size_t>(longest_full_),
             .table_rows = table ? table.size(1) : 0,
             .may_round = may_round_},
            run.threads());
    }

  private:
    void check_table(const Tensor& table, std::int64_t rows) const {
        if (table.shape.size() != 3 || table.shape[0] != heads_ || table.shape[1] < rows)
            throw OperatorError("random_blocks is " + text_of(table.shape) + ", expected [" +
                                std::to_string(heads_) + ", " + std::to_string(rows) +
                                " or more, r]");
        const auto* block = table.as<std::int64_t>();
        for (std::int64_t i = 0; i < table.shape[0] * table.shape[1] * table.shape[2]; ++i)
            if (block[i] < 0)
                throw OperatorError("random_blocks has " + std::to_string(block[i]) +
                                    ", expected blocks from 0 on");
    }

    std::int64_t heads_, block_size_, num_random_, longest_full_;
    bool may_round_;
};

}  // namespace

const OrtCustomOp& block_sparse_attention_operator() { return operator_of<BlockSparseAttentionKernel>(); }

}  // namespace pegasus
