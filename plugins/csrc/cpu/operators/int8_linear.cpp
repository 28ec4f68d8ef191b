#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "operators.h"

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#endif

namespace pegasus {

namespace {

struct FreeAligned {
    void operator()(std::int8_t* memory) const {
        ::operator delete(memory, std::align_val_t{64});
    }
};

// The system may take the pages of a mapped file back, as nobody reads them any more; what is not
// a mapped file stays as it is.
void let_go(const void* data, std::size_t bytes) {
#if defined(__linux__)
    const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
    const auto start = (reinterpret_cast<std::uintptr_t>(data) + page - 1) / page * page;
    const auto end = (reinterpret_cast<std::uintptr_t>(data) + bytes) / page * page;
    if (end > start) madvise(reinterpret_cast<void*>(start), end - start, MADV_PAGEOUT);
#else
    (void)data, (void)bytes;
#endif
}

// x [M, K], weight [K, N] int8 ([N, K] if transposed), scale [N], bias [N] or none -> [M, N]. The
// name says what it is: see int8_linear_operators.
class Int8LinearKernel {
  public:
    static constexpr const char* name = "Int8Linear";
    static constexpr Input inputs[] = {{kFloat}, {kInt8}, {kFloat}, {kFloat, true}};
    static constexpr std::size_t outputs = 1;

    explicit Int8LinearKernel(const NodeInfo& info)
        : is_positive_(info.is("Positive")), rectify_(info.is("Rectify")) {
        const bool is_transposed = info.is("Transposed");
        const Tensor weight = info.constant(1), scale = info.constant(2);
        if (!weight.data || weight.shape.size() != 2 || weight.size(0) == 0 || weight.size(1) == 0)
            throw OperatorError("weight is no constant matrix, expected an initializer [K, N]");
        depth_ = weight.size(is_transposed ? 1 : 0);
        columns_ = weight.size(is_transposed ? 0 : 1);
        if (!scale.data) throw OperatorError("scale is no constant, expected an initializer [N]");
        if (depth_ > kMostDepth)
            throw OperatorError("weight is " + text_of(weight.shape) + ", expected " +
                                std::to_string(kMostDepth) + " input channels at most");
        expect_shape(scale, {static_cast<std::int64_t>(columns_)}, "scale");
        scale_.assign(scale.as<float>(), scale.as<float>() + columns_);
        pack(weight, is_transposed);
    }

    void compute(const Run& run) const {
        const Tensor x = run.input(0, 2, "x"), bias = run.input(3);
        const auto columns = static_cast<std::int64_t>(columns_);
        expect_shape(x, {x.shape[0], static_cast<std::int64_t>(depth_)}, "x");
        if (bias) expect_shape(bias, {columns}, "bias");
        const PackedInt8 packed{depth_, columns_, values_.get(),
                                const_cast<std::int32_t*>(sums_.data())};
        chosen().int8_linear({.input = x.as<float>(),
                              .output = static_cast<float*>(run.output(0, {x.shape[0], columns})),
                              .rows = x.size(0),
                              .weight = packed,
                              .scale = scale_.data(),
                              .bias = bias.as<float>(),
                              .is_positive = is_positive_,
                              .rectify = rectify_},
                             run.threads());
    }

  private:
    static constexpr std::size_t kMostDepth = 65536;  // whose products, of bytes, 32 bits hold
    static constexpr std::size_t kPackedAtOnce = 4 << 20;  // bytes

    void pack(const Tensor& weight, bool is_transposed) {
        const std::size_t panels = (columns_ + kPanelColumns - 1) / kPanelColumns;
        const std::size_t groups = (depth_ + kPanelDepth - 1) / kPanelDepth;
        const std::size_t bytes = panels * groups * kPanelColumns * kPanelDepth;
        values_.reset(static_cast<std::int8_t*>(::operator new(bytes, std::align_val_t{64})));
        sums_.resize(panels * kPanelColumns);
        // Columns that lie one after the other are packed part by part, as all of a head would be in
        // memory twice at the same time.
        const std::size_t most = kPackedAtOnce / depth_ / kPanelColumns * kPanelColumns;
        const std::size_t part = is_transposed && most > 0 ? most : columns_;
        for (std::size_t first = 0; first < columns_; first += part) {
            const std::size_t count = std::min(part, columns_ - first);
            const auto* from = weight.as<std::int8_t>() + first * depth_;
            chosen().pack_int8(from, is_transposed,
                               {depth_, count, values_.get() + first * groups * kPanelDepth,
                                sums_.data() + first});
            let_go(from, count * depth_);
        }
    }

    bool is_positive_, rectify_;
    std::size_t depth_ = 0, columns_ = 0;
    std::unique_ptr<std::int8_t, FreeAligned> values_;
    std::vector<std::int32_t> sums_;
    std::vector<float> scale_;
};

}  // namespace

const std::vector<const OrtCustomOp*>& int8_linear_operators() {
    using Made = Operator<Int8LinearKernel>;
    static const Made all[] = {
        Made("Int8Linear"),
        Made("Int8LinearBias"),
        Made("Int8LinearRectify"),
        Made("Int8LinearBiasRectify"),
        Made("Int8LinearPositive"),
        Made("Int8LinearPositiveBias"),
        Made("Int8LinearPositiveRectify"),
        Made("Int8LinearPositiveBiasRectify"),
        Made("Int8LinearTransposed"),
        Made("Int8LinearTransposedBias"),
        Made("Int8LinearTransposedRectify"),
        Made("Int8LinearTransposedBiasRectify"),
        Made("Int8LinearPositiveTransposed"),
        Made("Int8LinearPositiveTransposedBias"),
        Made("Int8LinearPositiveTransposedRectify"),
        Made("Int8LinearPositiveTransposedBiasRectify"),
    };
    static const std::vector<const OrtCustomOp*> pointers = [] {
        std::vector<const OrtCustomOp*> found;
        for (const Made& each : all) found.push_back(&each);
        return found;
    }();
    return pointers;
}

}  // namespace pegasus
