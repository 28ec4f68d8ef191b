#include "operators.h"

namespace pegasus {

namespace {

// x and y [M, D], weight and bias [D] -> x + y, and that normalised.
class AddLayerNormalizationKernel {
  public:
    static constexpr const char* name = "AddLayerNormalization";
    static constexpr Input inputs[] = {{kFloat}, {kFloat}, {kFloat}, {kFloat}};
    static constexpr std::size_t outputs = 2;
    // A row is read before it is written: that neither needs memory of its own spares half of what
    // many rows are bound by.
    static constexpr std::size_t in_place = 2;

    explicit AddLayerNormalizationKernel(const NodeInfo& info)
        : epsilon_(info.number("epsilon")) {}

    void compute(const Run& run) const {
        const Tensor x = run.input(0, 2, "x"), y = run.input(1, 2, "y");
        const Tensor weight = run.input(2, 1, "weight"), bias = run.input(3, 1, "bias");
        expect_shape(y, x.shape, "y");
        expect_shape(weight, {x.shape[1]}, "weight");
        expect_shape(bias, {x.shape[1]}, "bias");
        chosen().add_layer_normalization({.x = x.as<float>(),
                                          .y = y.as<float>(),
                                          .weight = weight.as<float>(),
                                          .bias = bias.as<float>(),
                                          .sum = static_cast<float*>(run.output(0, x.shape)),
                                          .output = static_cast<float*>(run.output(1, x.shape)),
                                          .rows = x.size(0),
                                          .columns = x.size(1),
                                          .epsilon = epsilon_},
                                         run.threads());
    }

  private:
    float epsilon_;
};

}  // namespace

const OrtCustomOp& add_layer_normalization_operator() {
    return operator_of<AddLayerNormalizationKernel>();
}

}  // namespace pegasus
