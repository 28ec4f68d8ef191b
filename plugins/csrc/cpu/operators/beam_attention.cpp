#include <cstring>

#include "operators.h"

namespace pegasus {

namespace {

// One new token per row, N = B * R: qkv [N, 3 * D] of queries, keys and values side by side,
// past_key and past_value [N, H, T, Dh], or [N, H, T, Dh / 2] words of two halves each, position [1], beam_width [1] = R, indirection [B, R, T]
// -> attended [N, 1, D], and the past with the new token's keys and values, in place where outputs
// are bound to the inputs' memory.
class BeamAttentionKernel {
  public:
    static constexpr const char* name = "BeamAttention";
    static constexpr Input inputs[] = {{kFloat}, {kFloat}, {kFloat}, {kInt32}, {kInt32}, {kInt32}};
    static constexpr std::size_t outputs = 3;

    explicit BeamAttentionKernel(const NodeInfo& info)
        : heads_(info.attribute("num_heads", 1)), is_half_(info.attribute_or("half", 0) != 0) {}

    void compute(const Run& run) const {
        const Tensor qkv = run.input(0, 2, "qkv");
        const Tensor past_key = run.input(1, 4, "past_key"), past_value = run.input(2);
        const Tensor position = run.input(3), beam_width = run.input(4);
        const Tensor indirection = run.input(5, 3, "indirection");
        const std::int64_t rows = qkv.shape[0], head_dim = size_of_head(qkv, 3 * heads_, "qkv");
        const std::int64_t capacity = past_key.shape[2], d_model = heads_ * head_dim;
        const auto width = static_cast<std::size_t>(d_model);
        if (is_half_ && head_dim % 2 != 0)
            throw OperatorError("qkv is " + text_of(qkv.shape) + ", expected heads of even size");
        const std::int64_t words = is_half_ ? head_dim / 2 : head_dim;
        expect_shape(past_key, {rows, heads_, capacity, words}, "past_key");
        expect_shape(past_value, past_key.shape, "past_value");
        const std::int64_t batch = indirection.shape[0], beams = indirection.shape[1];
        expect_shape(indirection, {batch, beams, capacity}, "indirection");
        if (beams == 0 || rows % beams != 0 || rows / beams != batch)
            throw OperatorError("indirection is " + text_of(indirection.shape) + ", expected " +
                                std::to_string(rows) + " rows");
        expect_shape(beam_width, {1}, "beam_width");
        if (*beam_width.as<std::int32_t>() != beams)
            throw OperatorError("beam_width is " + std::to_string(*beam_width.as<std::int32_t>()) +
                                ", expected the " + std::to_string(beams) + " of indirection");
        expect_shape(position, {1}, "position");
        const std::int64_t filled = *position.as<std::int32_t>();
        if (filled < 0 || filled >= capacity)
            throw OperatorError("position is " + std::to_string(filled) + ", expected one below " +
                                std::to_string(capacity));
        check_rows(indirection, filled);
        void* keys = same_memory(run, 1, past_key);
        void* values = same_memory(run, 2, past_value);
        chosen().beam_attention({.query = qkv.as<float>(),
                                 .new_key = qkv.as<float>() + width,
                                 .new_value = qkv.as<float>() + 2 * width,
                                 .stride = 3 * width,
                                 .key = keys,
                                 .value = values,
                                 .indirection = indirection.as<std::int32_t>(),
                                 .output = static_cast<float*>(run.output(0, {rows, 1, d_model})),
                                 .batch = indirection.size(0),
                                 .rows = indirection.size(1),
                                 .heads = static_cast<std::size_t>(heads_),
                                 .head_dim = static_cast<std::size_t>(head_dim),
                                 .capacity = past_key.size(2),
                                 .position = static_cast<std::size_t>(filled),
                                 .is_half = is_half_},
                                run.threads());
    }

  private:
    static void check_rows(const Tensor& indirection, std::int64_t filled) {
        const auto* entry = indirection.as<std::int32_t>();
        const std::int64_t beams = indirection.shape[1], capacity = indirection.shape[2];
        std::int32_t lowest = 0, highest = 0;
        for (std::int64_t row = 0; row < indirection.shape[0] * beams; ++row) {
            for (std::int64_t t = 0; t < filled; ++t) {
                const std::int32_t found = entry[row * capacity + t];
                lowest = found < lowest ? found : lowest;
                highest = found > highest ? found : highest;
            }
        }
        if (lowest < 0 || highest >= beams)
            throw OperatorError("indirection has a row " +
                                std::to_string(lowest < 0 ? lowest : highest) +
                                ", expected one from 0 on and below " + std::to_string(beams));
    }

    static void* same_memory(const Run& run, std::size_t output, const Tensor& past) {
        void* present = run.output(output, past.shape);
        if (present != past.data) {
            std::size_t count = 1;
            for (const std::int64_t size : past.shape) count *= static_cast<std::size_t>(size);
            std::memcpy(present, past.data, count * sizeof(float));
        }
        return present;
    }

    std::int64_t heads_;
    bool is_half_;
};

}  // namespace

const OrtCustomOp& beam_attention_operator() { return operator_of<BeamAttentionKernel>(); }

}  // namespace pegasus
