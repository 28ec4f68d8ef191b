// What of ONNX Runtime's C interface the operators use, in our own words, so that the library is
// built without its headers and loads with every version from 1.18 on: the interface only grows.
//
// Source: onnxruntime, include/onnxruntime/core/session/onnxruntime_c_api.h. That places and sizes
// are those of the header is checked by harness/check_abi.cpp.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

struct OrtStatus;
struct OrtSessionOptions;
struct OrtCustomOpDomain;
struct OrtKernelInfo;
struct OrtKernelContext;
struct OrtValue;
struct OrtTensorTypeAndShapeInfo;
struct OrtShapeInferContext;
struct OrtCustomOp;

// A table of functions; which is where: see OrtFunction.
struct OrtApi {
    void (*functions[512])();
};

struct OrtApiBase {
    const OrtApi* (*get_api)(std::uint32_t version);
    const char* (*get_version)();
};

// Fields as of version 18; those that are null take the usual course.
struct OrtCustomOp {
    std::uint32_t version;
    void* (*create_kernel)(const OrtCustomOp*, const OrtApi*, const OrtKernelInfo*);
    const char* (*name)(const OrtCustomOp*);
    const char* (*provider)(const OrtCustomOp*);
    int (*input_type)(const OrtCustomOp*, std::size_t);
    std::size_t (*input_count)(const OrtCustomOp*);
    int (*output_type)(const OrtCustomOp*, std::size_t);
    std::size_t (*output_count)(const OrtCustomOp*);
    void (*compute)(void* kernel, OrtKernelContext*);
    void (*destroy)(void* kernel);
    int (*input_presence)(const OrtCustomOp*, std::size_t);
    int (*output_presence)(const OrtCustomOp*, std::size_t);
    int (*input_memory)(const OrtCustomOp*, std::size_t);
    int (*variadic_input_least)(const OrtCustomOp*);
    int (*variadic_input_is_homogeneous)(const OrtCustomOp*);
    int (*variadic_output_least)(const OrtCustomOp*);
    int (*variadic_output_is_homogeneous)(const OrtCustomOp*);
    OrtStatus* (*create_kernel_checked)(const OrtCustomOp*, const OrtApi*, const OrtKernelInfo*,
                                        void** kernel);
    OrtStatus* (*compute_checked)(void* kernel, OrtKernelContext*);
    OrtStatus* (*infer_shapes)(const OrtCustomOp*, OrtShapeInferContext*);
    int (*start_version)(const OrtCustomOp*);
    int (*end_version)(const OrtCustomOp*);
    std::size_t (*may_inplace)(int** inputs, int** outputs);
    void (*release_may_inplace)(int* inputs, int* outputs);
    std::size_t (*alias_map)(int** inputs, int** outputs);
    void (*release_alias_map)(int* inputs, int* outputs);
};

}  // extern "C"

namespace pegasus {

inline constexpr std::uint32_t kOrtVersion = 18;

// A function of OrtApi: its place, and its type.
template <std::size_t kPlace, class Type>
struct OrtFunction;
template <std::size_t kPlace, class Result, class... Arguments>
struct OrtFunction<kPlace, Result(Arguments...)> {
    static constexpr std::size_t place = kPlace;

    static Result call(const OrtApi* api, Arguments... arguments) {
        return reinterpret_cast<Result (*)(Arguments...)>(api->functions[kPlace])(arguments...);
    }
};

using OrtCreateStatus = OrtFunction<0, OrtStatus*(int code, const char* message)>;
using OrtReleaseStatus = OrtFunction<93, void(OrtStatus*)>;
using OrtGetErrorMessage = OrtFunction<2, const char*(const OrtStatus*)>;
using OrtCreateCustomOpDomain = OrtFunction<26, OrtStatus*(const char*, OrtCustomOpDomain**)>;
using OrtCustomOpDomainAdd =
    OrtFunction<27, OrtStatus*(OrtCustomOpDomain*, const OrtCustomOp*)>;
using OrtAddCustomOpDomain =
    OrtFunction<28, OrtStatus*(OrtSessionOptions*, OrtCustomOpDomain*)>;
using OrtGetTensorMutableData = OrtFunction<51, OrtStatus*(OrtValue*, void**)>;
using OrtGetDimensionsCount =
    OrtFunction<61, OrtStatus*(const OrtTensorTypeAndShapeInfo*, std::size_t*)>;
using OrtGetDimensions =
    OrtFunction<62, OrtStatus*(const OrtTensorTypeAndShapeInfo*, std::int64_t*, std::size_t)>;
using OrtGetTensorTypeAndShape =
    OrtFunction<65, OrtStatus*(const OrtValue*, OrtTensorTypeAndShapeInfo**)>;
using OrtReleaseTensorTypeAndShapeInfo = OrtFunction<99, void(OrtTensorTypeAndShapeInfo*)>;
using OrtGetAttributeFloat =
    OrtFunction<85, OrtStatus*(const OrtKernelInfo*, const char*, float*)>;
using OrtGetAttributeInt64 =
    OrtFunction<86, OrtStatus*(const OrtKernelInfo*, const char*, std::int64_t*)>;
using OrtGetInputCount = OrtFunction<88, OrtStatus*(const OrtKernelContext*, std::size_t*)>;
using OrtGetInput =
    OrtFunction<90, OrtStatus*(const OrtKernelContext*, std::size_t, const OrtValue**)>;
using OrtGetOutput = OrtFunction<91, OrtStatus*(OrtKernelContext*, std::size_t,
                                                const std::int64_t*, std::size_t, OrtValue**)>;
using OrtGetConstantInput =
    OrtFunction<249, OrtStatus*(const OrtKernelInfo*, std::size_t, int*, const OrtValue**)>;
using OrtParallelFor =
    OrtFunction<274, OrtStatus*(const OrtKernelContext*, void (*)(void*, std::size_t),
                                std::size_t total, std::size_t num_batch, void*)>;

}  // namespace pegasus
