#include "operators.h"

namespace pegasus {

namespace {

// logits [N, V], k [1] -> log_probs [N, V], and the k best of each row: top_scores, top_ids [N, k].
class LogSoftmaxTopKKernel {
  public:
    static constexpr const char* name = "LogSoftmaxTopK";
    static constexpr Input inputs[] = {{kFloat}, {kInt64}};
    static constexpr std::size_t outputs = 3;
    static constexpr ElementType output_types[] = {kFloat, kFloat, kInt64};

    explicit LogSoftmaxTopKKernel(const NodeInfo&) {}

    void compute(const Run& run) const {
        const Tensor logits = run.input(0, 2, "logits"), k = run.input(1);
        expect_shape(k, {1}, "k");
        const std::int64_t rows = logits.shape[0], columns = logits.shape[1];
        const std::int64_t count = *k.as<std::int64_t>();
        if (count < 0 || count > columns)
            throw OperatorError("k is " + std::to_string(count) + ", expected 0 to the " +
                                std::to_string(columns) + " columns of logits");
        chosen().log_softmax_top_k(
            {.logits = logits.as<float>(),
             .log_probs = static_cast<float*>(run.output(0, logits.shape)),
             .top_scores = static_cast<float*>(run.output(1, {rows, count})),
             .top_ids = static_cast<std::int64_t*>(run.output(2, {rows, count})),
             .rows = logits.size(0),
             .columns = logits.size(1),
             .count = static_cast<std::size_t>(count)},
            run.threads());
    }
};

}  // namespace

const OrtCustomOp& log_softmax_top_k_operator() { return operator_of<LogSoftmaxTopKKernel>(); }

}  // namespace pegasus
