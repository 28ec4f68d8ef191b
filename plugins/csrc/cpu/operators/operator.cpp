#include "operator.h"

#include <limits>
#include <memory>
#include <thread>

#include "../kernels.h"

namespace pegasus {

namespace {

Shape shape_of(const OrtApi* api, const OrtValue* value) {
    OrtTensorTypeAndShapeInfo* info = nullptr;
    check(api, OrtGetTensorTypeAndShape::call(api, value, &info));
    const auto release = [api](OrtTensorTypeAndShapeInfo* held) {
        OrtReleaseTensorTypeAndShapeInfo::call(api, held);
    };
    const std::unique_ptr<OrtTensorTypeAndShapeInfo, decltype(release)> held(info, release);
    std::size_t rank = 0;
    check(api, OrtGetDimensionsCount::call(api, info, &rank));
    Shape shape(rank);
    check(api, OrtGetDimensions::call(api, info, shape.data(), rank));
    return shape;
}

Tensor tensor_of(const OrtApi* api, const OrtValue* value) {
    if (!value) return {};
    void* data = nullptr;
    check(api, OrtGetTensorMutableData::call(api, const_cast<OrtValue*>(value), &data));
    return {data, shape_of(api, value)};
}

}  // namespace

std::string text_of(const Shape& shape) {
    std::string text = "[";
    for (std::size_t i = 0; i < shape.size(); ++i)
        text += (i ? ", " : "") + std::to_string(shape[i]);
    return text + "]";
}

void check(const OrtApi* api, OrtStatus* status) {
    if (!status) return;
    const std::string message = OrtGetErrorMessage::call(api, status);
    OrtReleaseStatus::call(api, status);
    throw OperatorError(message);
}

void expect_shape(const Tensor& tensor, const Shape& expected, const char* name) {
    if (tensor.shape == expected) return;
    throw OperatorError(std::string(name) + " is " + text_of(tensor.shape) + ", expected " +
                        text_of(expected));
}

std::int64_t size_of_head(const Tensor& tensor, std::int64_t heads, const char* name) {
    const std::int64_t channels = tensor.shape.back();
    const auto most = static_cast<std::int64_t>(kMaxHeadDim);
    if (channels < heads || channels % heads != 0 || channels / heads > most)
        throw OperatorError(std::string(name) + " is " + text_of(tensor.shape) + ", expected " +
                            std::to_string(heads) + " heads of 1 to " + std::to_string(most) +
                            " at the end");
    return channels / heads;
}

std::int64_t NodeInfo::attribute(const char* name, std::int64_t least) const {
    std::int64_t value = 0;
    check(api_, OrtGetAttributeInt64::call(api_, info_, name, &value));
    constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
    if (value < least || value > kMost)
        throw OperatorError(std::string(name) + " is " + std::to_string(value) + ", expected " +
                            std::to_string(least) + " to " + std::to_string(kMost));
    return value;
}

std::int64_t NodeInfo::attribute_or(const char* name, std::int64_t otherwise) const {
    std::int64_t value = otherwise;
    OrtStatus* status = OrtGetAttributeInt64::call(api_, info_, name, &value);
    if (!status) return value;
    OrtReleaseStatus::call(api_, status);
    return otherwise;
}

float NodeInfo::number(const char* name) const {
    float value = 0;
    check(api_, OrtGetAttributeFloat::call(api_, info_, name, &value));
    if (!(value >= 0 && value <= std::numeric_limits<float>::max()))
        throw OperatorError(std::string(name) + " is " + std::to_string(value) +
                            ", expected a number from 0 on");
    return value;
}

Tensor NodeInfo::constant(std::size_t input) const {
    int is_constant = 0;
    const OrtValue* value = nullptr;
    check(api_, OrtGetConstantInput::call(api_, info_, input, &is_constant, &value));
    return is_constant ? tensor_of(api_, value) : Tensor{};
}

Tensor Run::input(std::size_t index) const {
    std::size_t count = 0;
    check(api_, OrtGetInputCount::call(api_, context_, &count));
    if (index >= count) return {};
    const OrtValue* value = nullptr;
    check(api_, OrtGetInput::call(api_, context_, index, &value));
    return tensor_of(api_, value);
}

Tensor Run::input(std::size_t index, std::size_t rank, const char* name) const {
    Tensor tensor = input(index);
    if (tensor.shape.size() != rank)
        throw OperatorError(std::string(name) + " is " + text_of(tensor.shape) + ", expected " +
                            std::to_string(rank) + " dimensions");
    return tensor;
}

void* Run::output(std::size_t index, const Shape& shape) const {
    OrtValue* value = nullptr;
    check(api_, OrtGetOutput::call(api_, context_, index, shape.data(), shape.size(), &value));
    void* data = nullptr;
    check(api_, OrtGetTensorMutableData::call(api_, value, &data));
    return data;
}

Threads Run::threads() const {
    // How many the session has is not told. What is cut into more parts than these need costs less
    // than a thread without work.
    static const int width = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    const auto run = [](void* pool, std::size_t count, void (*task)(void*, std::size_t),
                        void* context) {
        const auto& here = *static_cast<const Run*>(pool);
        // As many batches as tasks: who is early takes those of who is late.
        check(here.api_, OrtParallelFor::call(here.api_, here.context_, task, count, count, context));
    };
    return {run, const_cast<Run*>(this), width};
}

}  // namespace pegasus
