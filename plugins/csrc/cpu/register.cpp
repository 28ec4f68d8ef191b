// What the library is loaded for: ONNX Runtime calls RegisterCustomOps, others ask what is there.
#include <algorithm>
#include <mutex>
#include <string>

#include "operators/operators.h"
#include "processor.h"

#if defined(_WIN32)
#define PEGASUS_EXPORT extern "C" __declspec(dllexport)
#else
#define PEGASUS_EXPORT extern "C" __attribute__((visibility("default")))
#endif

namespace pegasus {

namespace {

const Kernels* found() {
    static const Kernels* const kernels = choose_kernels();
    return kernels;
}

std::vector<const OrtCustomOp*> operators() {
    const Kernels* kernels = found();
    if (!kernels) return {};
    std::vector<const OrtCustomOp*> here;
    const auto add = [&](bool is_here, const OrtCustomOp& known) {
        if (is_here) here.push_back(&known);
    };
    // With tiles of its own (AMX), ONNX Runtime's product is faster than ours.
    const bool has_linear = kernels->int8_linear && !processor().has_amx_int8;
    for (const OrtCustomOp* kind : int8_linear_operators()) add(has_linear, *kind);
    // Both or neither: what one keeps as halves, only the other reads.
    const bool has_source = kernels->keep_source && kernels->source_attention;
    add(has_source, keep_source_operator());
    add(has_source, source_attention_operator());
    add(kernels->beam_attention, beam_attention_operator());
    add(kernels->block_sparse_attention, block_sparse_attention_operator());
    add(kernels->block_sparse_attention, self_attention_operator());
    add(kernels->add_layer_normalization, add_layer_normalization_operator());
    add(kernels->log_softmax_top_k, log_softmax_top_k_operator());
    return here;
}

}  // namespace

const Kernels& chosen() { return *found(); }

}  // namespace pegasus

// The set of instructions that is used here, or "".
PEGASUS_EXPORT const char* pegasus_edge_kernels_instructions() {
    const pegasus::Kernels* kernels = pegasus::found();
    return kernels ? kernels->instructions : "";
}

// Names of the operators that are registered here, with commas between them; Int8Linear is all of
// its kinds.
PEGASUS_EXPORT const char* pegasus_edge_kernels_operators() {
    static const std::string names = [] {
        std::string joined;
        const auto& kinds = pegasus::int8_linear_operators();
        for (const OrtCustomOp* known : pegasus::operators()) {
            if (std::find(kinds.begin() + 1, kinds.end(), known) != kinds.end()) continue;
            if (!joined.empty()) joined += ',';
            joined += known->name(known);
        }
        return joined;
    }();
    return names.c_str();
}

PEGASUS_EXPORT OrtStatus* RegisterCustomOps(OrtSessionOptions* options, const OrtApiBase* base) {
    using namespace pegasus;
    const OrtApi* api = base->get_api(kOrtVersion);
    if (!api) {  // what runs would not be what it says runs
        constexpr int kNotImplemented = 9;
        return OrtCreateStatus::call(base->get_api(1), kNotImplemented,
                                     "kernels need ONNX Runtime 1.18 or newer");
    }
    static OrtCustomOpDomain* domain = nullptr;  // as long as the library, which stays loaded
    static std::mutex making;
    const std::lock_guard<std::mutex> alone(making);
    if (!domain) {
        OrtCustomOpDomain* made = nullptr;
        if (OrtStatus* status = OrtCreateCustomOpDomain::call(api, "pegasus_edge", &made))
            return status;
        for (const OrtCustomOp* known : operators())
            if (OrtStatus* status = OrtCustomOpDomainAdd::call(api, made, known)) return status;
        domain = made;
    }
    return OrtAddCustomOpDomain::call(api, options, domain);
}
