// What an operator is written against: its inputs and outputs, attributes, threads and errors.
#pragma once

#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "../ort_abi.h"
#include "../threads.h"

namespace pegasus {

// Becomes the message of a status: never crosses the library's border.
class OperatorError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

enum ElementType { kFloat = 1, kInt8 = 3, kInt32 = 6, kInt64 = 7 };

using Shape = std::vector<std::int64_t>;

std::string text_of(const Shape& shape);

// A tensor that is there, or null.
struct Tensor {
    const void* data = nullptr;
    Shape shape;

    explicit operator bool() const { return data != nullptr || !shape.empty(); }
    template <class T>
    const T* as() const {
        return static_cast<const T*>(data);
    }
    std::size_t size(std::size_t axis) const { return static_cast<std::size_t>(shape[axis]); }
};

// Of a node, when its kernel is made.
class NodeInfo {
  public:
    NodeInfo(const OrtApi* api, const OrtKernelInfo* info, std::string_view operator_name)
        : api_(api), info_(info), operator_name_(operator_name) {}

    // Whether the operator's name says so.
    bool is(std::string_view kind) const {
        return operator_name_.find(kind) != std::string_view::npos;
    }

    // Throws OperatorError if there is no such attribute, or it is below `least` or needs more than
    // 32 bits, so that the product of two is no overflow.
    std::int64_t attribute(const char* name, std::int64_t least = 0) const;
    std::int64_t attribute_or(const char* name, std::int64_t otherwise) const;
    // Throws OperatorError if there is no such attribute, or it is negative or not finite.
    float number(const char* name) const;
    // Null where the input is no constant.
    Tensor constant(std::size_t input) const;

    const OrtApi* api() const { return api_; }

  private:
    const OrtApi* api_;
    const OrtKernelInfo* info_;
    std::string_view operator_name_;
};

// Of one run.
class Run {
  public:
    Run(const OrtApi* api, OrtKernelContext* context) : api_(api), context_(context) {}

    // Null where the input is left out.
    Tensor input(std::size_t index) const;
    // The same, of so many dimensions. Throws OperatorError.
    Tensor input(std::size_t index, std::size_t rank, const char* name) const;
    void* output(std::size_t index, const Shape& shape) const;
    // ONNX Runtime's own, as long as the run.
    Threads threads() const;

  private:
    const OrtApi* api_;
    OrtKernelContext* context_;
};

// Floats of a head, where heads lie side by side at the end. Throws OperatorError where they do
// not, or are larger than kernels take.
std::int64_t size_of_head(const Tensor& tensor, std::int64_t heads, const char* name);

// Throws OperatorError: "name is [2, 3], expected [2, 4]".
void expect_shape(const Tensor& tensor, const Shape& expected, const char* name);

// Throws OperatorError where a status is one.
void check(const OrtApi* api, OrtStatus* status);

// Of domain pegasus_edge, in graphs. Those of older bundles say less, and stay functions: their
// operators have other inputs or attributes. The same number in kernel_functions.py.
inline constexpr int kDomainVersion = 5;

// One of an operator's inputs: its type, and whether it may be left out.
struct Input {
    ElementType type;
    bool is_optional = false;
};

// How ONNX Runtime is told of an operator: a class with a constructor from NodeInfo, `void
// compute(const Run&)`, and static `name`, `inputs` and `outputs`: how many, of floats if there are
// no `output_types`; and `in_place`, how many of the first outputs may be the memory of the inputs in
// the same places, where any may.
template <class Kernel>
class Operator : public OrtCustomOp {
  public:
    // full_name: the kernel's, and what kind of it this is.
    explicit Operator(const char* full_name = Kernel::name) : OrtCustomOp{}, full_name_(full_name) {
        version = kOrtVersion;
        OrtCustomOp::name = [](const OrtCustomOp* self) { return full_name_of(self); };
        provider = [](const OrtCustomOp*) -> const char* { return nullptr; };
        input_type = [](const OrtCustomOp*, std::size_t i) -> int {
            return Kernel::inputs[i].type;
        };
        input_count = [](const OrtCustomOp*) { return std::size(Kernel::inputs); };
        output_type = [](const OrtCustomOp*, [[maybe_unused]] std::size_t i) -> int {
            if constexpr (requires { Kernel::output_types; }) {
                return Kernel::output_types[i];
            } else {
                return kFloat;
            }
        };
        output_count = [](const OrtCustomOp*) { return Kernel::outputs; };
        input_presence = [](const OrtCustomOp*, std::size_t i) -> int {
            return Kernel::inputs[i].is_optional;
        };
        output_presence = [](const OrtCustomOp*, std::size_t) { return 0; };
        input_memory = [](const OrtCustomOp*, std::size_t) { return 0; };
        start_version = [](const OrtCustomOp*) { return kDomainVersion; };
        end_version = [](const OrtCustomOp*) { return kDomainVersion; };
        if constexpr (requires { Kernel::in_place; }) {
            may_inplace = [](int** from, int** to) {
                static int places[] = {0, 1};
                static_assert(Kernel::in_place <= std::size(places));
                *from = *to = places;
                return Kernel::in_place;
            };
            release_may_inplace = [](int*, int*) {};  // nothing was made
        }
        create_kernel_checked = [](const OrtCustomOp* self, const OrtApi* api,
                                   const OrtKernelInfo* info, void** kernel) {
            *kernel = nullptr;
            return guarded(api, [&] {
                *kernel = new Made{api, Kernel(NodeInfo(api, info, full_name_of(self)))};
            });
        };
        compute_checked = [](void* kernel, OrtKernelContext* context) {
            auto* made = static_cast<Made*>(kernel);
            return guarded(made->api, [&] { made->kernel.compute(Run(made->api, context)); });
        };
        destroy = [](void* kernel) { delete static_cast<Made*>(kernel); };
    }

  private:
    struct Made {
        const OrtApi* api;
        Kernel kernel;
    };

    static const char* full_name_of(const OrtCustomOp* self) {
        return static_cast<const Operator*>(self)->full_name_;
    }

    static std::string told(const std::exception& err) {
        return std::string(Kernel::name) + ": " + err.what();
    }

    template <class Work>
    static OrtStatus* guarded(const OrtApi* api, Work&& work) {
        constexpr int kFail = 1, kInvalidArgument = 2;
        try {
            work();
            return nullptr;
        } catch (const OperatorError& err) {
            return OrtCreateStatus::call(api, kInvalidArgument, told(err).c_str());
        } catch (const std::bad_alloc&) {  // nor is there memory to say where
            return OrtCreateStatus::call(api, kFail, "out of memory");
        } catch (const std::exception& err) {
            return OrtCreateStatus::call(api, kFail, told(err).c_str());
        }
    }

    const char* full_name_;
};

// The only one of its kind, made when it is first asked for.
template <class Kernel>
const OrtCustomOp& operator_of() {
    static const Operator<Kernel> made;
    return made;
}

}  // namespace pegasus
