// Threads of the standard library, so that kernels run without ONNX Runtime.
#pragma once

#include <atomic>
#include <thread>
#include <vector>

#include "../threads.h"

namespace pegasus {

// Whoever is free takes the next task; the calling thread takes part, as it does in ONNX Runtime.
class PlainThreads {
  public:
    explicit PlainThreads(std::size_t width) : width_(width) {}

    Threads threads() { return {run, this, static_cast<int>(width_)}; }

  private:
    static void run(void* pool, std::size_t count, void (*task)(void*, std::size_t),
                    void* context) {
        std::atomic<std::size_t> next{0};
        const auto work = [&] {
            for (std::size_t i = next++; i < count; i = next++) task(context, i);
        };
        std::vector<std::thread> others;
        for (std::size_t t = 1; t < static_cast<PlainThreads*>(pool)->width_; ++t)
            others.emplace_back(work);
        work();
        for (std::thread& other : others) other.join();
    }

    std::size_t width_;
};

}  // namespace pegasus
