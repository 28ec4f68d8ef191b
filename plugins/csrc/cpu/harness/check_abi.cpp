// Compiles only if ort_abi.h has everything where ONNX Runtime's own header has it:
//
//     g++ -std=c++20 -fsyntax-only -I FOLDER_OF_THE_HEADER check_abi.cpp
#include <onnxruntime_c_api.h>

#include <cstddef>
#include <cstdint>

namespace ours {
#include "../ort_abi.h"
}

#define PEGASUS_SAME_PLACE(name, function)                                                     \
    static_assert(offsetof(OrtApi, function) == ours::pegasus::name::place * sizeof(void*),    \
                  "ort_abi.h has " #function " elsewhere")

PEGASUS_SAME_PLACE(OrtCreateStatus, CreateStatus);
PEGASUS_SAME_PLACE(OrtReleaseStatus, ReleaseStatus);
PEGASUS_SAME_PLACE(OrtGetErrorMessage, GetErrorMessage);
PEGASUS_SAME_PLACE(OrtCreateCustomOpDomain, CreateCustomOpDomain);
PEGASUS_SAME_PLACE(OrtCustomOpDomainAdd, CustomOpDomain_Add);
PEGASUS_SAME_PLACE(OrtAddCustomOpDomain, AddCustomOpDomain);
PEGASUS_SAME_PLACE(OrtGetTensorMutableData, GetTensorMutableData);
PEGASUS_SAME_PLACE(OrtGetDimensionsCount, GetDimensionsCount);
PEGASUS_SAME_PLACE(OrtGetDimensions, GetDimensions);
PEGASUS_SAME_PLACE(OrtGetTensorTypeAndShape, GetTensorTypeAndShape);
PEGASUS_SAME_PLACE(OrtReleaseTensorTypeAndShapeInfo, ReleaseTensorTypeAndShapeInfo);
PEGASUS_SAME_PLACE(OrtGetAttributeFloat, KernelInfoGetAttribute_float);
PEGASUS_SAME_PLACE(OrtGetAttributeInt64, KernelInfoGetAttribute_int64);
PEGASUS_SAME_PLACE(OrtGetInputCount, KernelContext_GetInputCount);
PEGASUS_SAME_PLACE(OrtGetInput, KernelContext_GetInput);
PEGASUS_SAME_PLACE(OrtGetOutput, KernelContext_GetOutput);
PEGASUS_SAME_PLACE(OrtGetConstantInput, KernelInfoGetConstantInput_tensor);
PEGASUS_SAME_PLACE(OrtParallelFor, KernelContext_ParallelFor);

static_assert(sizeof(ours::OrtApiBase) == sizeof(OrtApiBase));
static_assert(offsetof(OrtApiBase, GetApi) == offsetof(ours::OrtApiBase, get_api));

#define PEGASUS_SAME_FIELD(ours_is, theirs)                                          \
    static_assert(offsetof(ours::OrtCustomOp, ours_is) == offsetof(OrtCustomOp, theirs), \
                  "ort_abi.h has " #theirs " elsewhere")

PEGASUS_SAME_FIELD(version, version);
PEGASUS_SAME_FIELD(create_kernel, CreateKernel);
PEGASUS_SAME_FIELD(name, GetName);
PEGASUS_SAME_FIELD(provider, GetExecutionProviderType);
PEGASUS_SAME_FIELD(input_type, GetInputType);
PEGASUS_SAME_FIELD(input_count, GetInputTypeCount);
PEGASUS_SAME_FIELD(output_type, GetOutputType);
PEGASUS_SAME_FIELD(output_count, GetOutputTypeCount);
PEGASUS_SAME_FIELD(compute, KernelCompute);
PEGASUS_SAME_FIELD(destroy, KernelDestroy);
PEGASUS_SAME_FIELD(input_presence, GetInputCharacteristic);
PEGASUS_SAME_FIELD(output_presence, GetOutputCharacteristic);
PEGASUS_SAME_FIELD(input_memory, GetInputMemoryType);
PEGASUS_SAME_FIELD(variadic_input_least, GetVariadicInputMinArity);
PEGASUS_SAME_FIELD(variadic_input_is_homogeneous, GetVariadicInputHomogeneity);
PEGASUS_SAME_FIELD(variadic_output_least, GetVariadicOutputMinArity);
PEGASUS_SAME_FIELD(variadic_output_is_homogeneous, GetVariadicOutputHomogeneity);
PEGASUS_SAME_FIELD(create_kernel_checked, CreateKernelV2);
PEGASUS_SAME_FIELD(compute_checked, KernelComputeV2);
PEGASUS_SAME_FIELD(infer_shapes, InferOutputShapeFn);
PEGASUS_SAME_FIELD(start_version, GetStartVersion);
PEGASUS_SAME_FIELD(end_version, GetEndVersion);
PEGASUS_SAME_FIELD(may_inplace, GetMayInplace);
PEGASUS_SAME_FIELD(release_may_inplace, ReleaseMayInplace);
PEGASUS_SAME_FIELD(alias_map, GetAliasMap);
PEGASUS_SAME_FIELD(release_alias_map, ReleaseAliasMap);
