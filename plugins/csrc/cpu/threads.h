// Work on several threads: ONNX Runtime's own pool in an operator, plain threads in tests.
#pragma once

#include <cstddef>

namespace pegasus {

struct Threads {
    // Runs task(context, i) once for each i < count, in any order and at any time, and returns when
    // all are done.
    void (*run)(void* pool, std::size_t count, void (*task)(void* context, std::size_t i),
                void* context);
    void* pool;
    int width;  // threads that there are; what divides work into equal parts divides it by this

    template <class Task>
    void each(std::size_t count, Task&& task) const {
        if (count == 1) return task(std::size_t{0});
        run(pool, count, [](void* context, std::size_t i) { (*static_cast<Task*>(context))(i); },
            &task);
    }
};

}  // namespace pegasus
