// What tests call of the attention kernels, by the name of a set of instructions: 0 where this
// processor lacks it. As many plain threads as are asked for; tasks run in turns on them.
#include <cstddef>
#include <cstring>
#include <thread>
#include <vector>

#include "../kernels.h"

#define PEGASUS_TEST_API extern "C" __attribute__((visibility("default")))

namespace pegasus {

#define PEGASUS_DECLARE(set)                                                    \
    namespace set {                                                             \
    void keep_source(const KeepSource&, const Threads&);                        \
    void source_attention(const SourceAttention&, const Threads&);              \
    void beam_attention(const BeamAttention&, const Threads&);                  \
    void block_sparse_attention(const BlockSparseAttention&, const Threads&);   \
    }
#if defined(__aarch64__)
PEGASUS_DECLARE(neon)
#else
PEGASUS_DECLARE(avx2)
PEGASUS_DECLARE(avx512)
#endif

namespace {

bool has(const char* set) {
#if defined(__aarch64__)
    return std::strcmp(set, "neon") == 0;
#else
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                          __builtin_cpu_supports("f16c");
    if (std::strcmp(set, "avx2") == 0) return has_avx2;
    return std::strcmp(set, "avx512") == 0 && has_avx2 && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
#endif
}

void run_on_threads(void* pool, std::size_t count, void (*task)(void*, std::size_t),
                    void* context) {
    const std::size_t width = *static_cast<std::size_t*>(pool);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < width; ++t) {
        threads.emplace_back([=] {
            for (std::size_t i = t; i < count; i += width) task(context, i);
        });
    }
    for (std::thread& thread : threads) thread.join();
}

#if defined(__aarch64__)
#define PEGASUS_CALL(kernel) neon::kernel(*arguments, threads)
#else
#define PEGASUS_CALL(kernel) \
    std::strcmp(set, "avx2") == 0 ? avx2::kernel(*arguments, threads) \
                                  : avx512::kernel(*arguments, threads)
#endif

}  // namespace

#define PEGASUS_DEFINE(kernel, Arguments)                                                    \
    PEGASUS_TEST_API int call_##kernel(const char* set, std::size_t width,                   \
                                       const Arguments* arguments) {                         \
        if (!has(set)) return 0;                                                             \
        const Threads threads{run_on_threads, &width, static_cast<int>(width)};              \
        PEGASUS_CALL(kernel);                                                                \
        return 1;                                                                            \
    }

PEGASUS_DEFINE(keep_source, KeepSource)
PEGASUS_DEFINE(source_attention, SourceAttention)
PEGASUS_DEFINE(beam_attention, BeamAttention)
PEGASUS_DEFINE(block_sparse_attention, BlockSparseAttention)

}  // namespace pegasus
