// Symbolic dimensions without TensorRT: what the headers declare, over an implementation of ours.
#pragma once

#include <NvInferRuntime.h>

namespace pegasus::harness {

class FakeDimension final : public nvinfer1::IDimensionExpr {
public:
    FakeDimension() { mImpl = &symbol_; }
    ~FakeDimension() noexcept override = default;

private:
    class Symbol final : public nvinfer1::apiv::VDimensionExpr {
    public:
        bool isConstant() const override { return false; }
        int64_t getConstantValue() const override { return 0; }
        bool isSizeTensor() const override { return false; }
    };
    Symbol symbol_;
};

// Makes nothing: an output that has the shape of an input needs no expression of its own.
class FakeExprBuilder final : public nvinfer1::IExprBuilder {
public:
    FakeExprBuilder() { mImpl = &nothing_; }
    ~FakeExprBuilder() noexcept override = default;

private:
    class Nothing final : public nvinfer1::apiv::VExprBuilder {
    public:
        const nvinfer1::IDimensionExpr* constant(int64_t) override { return nullptr; }
        const nvinfer1::IDimensionExpr* operation(nvinfer1::DimensionOperation,
                                                  const nvinfer1::IDimensionExpr&,
                                                  const nvinfer1::IDimensionExpr&) override {
            return nullptr;
        }
        const nvinfer1::IDimensionExpr* declareSizeTensor(
            int32_t, const nvinfer1::IDimensionExpr&, const nvinfer1::IDimensionExpr&) override {
            return nullptr;
        }
    };
    Nothing nothing_;
};

}  // namespace pegasus::harness
