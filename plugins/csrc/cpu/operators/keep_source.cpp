#include "operators.h"

namespace pegasus {

namespace {

// [B, S, H * Dh] -> [B, H, S, Dh / 2] words of two halves each.
class KeepSourceKernel {
  public:
    static constexpr const char* name = "KeepSource";
    static constexpr Input inputs[] = {{kFloat}};
    static constexpr std::size_t outputs = 1;

    explicit KeepSourceKernel(const NodeInfo& info)
        : heads_(info.attribute("num_heads", 1)) {}

    void compute(const Run& run) const {
        const Tensor x = run.input(0, 3, "x");
        const std::int64_t batch = x.shape[0], length = x.shape[1];
        const std::int64_t head_dim = size_of_head(x, heads_, "x");
        if (head_dim % 2 != 0)
            throw OperatorError("x is " + text_of(x.shape) + ", expected heads of even size");
        void* words = run.output(0, {batch, heads_, length, head_dim / 2});
        chosen().keep_source({.input = x.as<float>(),
                              .output = static_cast<Half*>(words),
                              .batch = x.size(0),
                              .length = x.size(1),
                              .heads = static_cast<std::size_t>(heads_),
                              .head_dim = static_cast<std::size_t>(head_dim)},
                             run.threads());
    }

  private:
    std::int64_t heads_;
};

}  // namespace

const OrtCustomOp& keep_source_operator() { return operator_of<KeepSourceKernel>(); }

}  // namespace pegasus
