// Log-probabilities of rows of logits, and the best of each row.
//
// A row is read from memory once: by blocks, the largest of each, and then its sum of powers. The
// second time it comes from the cache, and is written past it, as few searches read what is
// written. Blocks with nothing that may be among the best are passed over.
#include "functions.h"
#include "runs.h"

namespace pegasus::PEGASUS_SET {

namespace {

inline constexpr std::size_t kBlock = 512;  // columns
inline constexpr std::size_t kSums = 2;     // at a time, as each waits for the one before it
inline constexpr std::size_t kStep = kSums * Floats::kWidth;
inline constexpr std::size_t kLine = 64 / sizeof(float);
inline constexpr float kLowest = -3.40282347e38f;

static_assert(kBlock % kStep == 0);

// The best `count` of what is offered by ascending column: a heap, whose root is the worst of them,
// in the memory where they are wanted. Where all are NaN, which is above nothing, their columns are
// as ONNX Runtime's heap leaves them.
class Best {
  public:
    Best(float* scores, std::int64_t* ids, std::size_t count)
        : scores_(scores), ids_(ids), count_(count), free_(count) {}

    // Of equals, the one before stays. NaN is taken while there is room.
    bool wants(float score) const {
        return free_ != 0 ? !(score < least_) : count_ != 0 && score > scores_[0];
    }

    void offer(float score, std::size_t column) {
        if (!wants(score)) return;
        free_ -= free_ != 0;
        sink(free_, count_, score, static_cast<std::int64_t>(column));
    }

    bool has_all() const { return count_ != 0 && free_ == 0; }
    float worst() const { return scores_[0]; }

    // Forgets what there is, and takes nothing below `least`.
    void restart(float least) {
        free_ = count_;
        least_ = least;
    }

    // Descending, of equals the lower column first. Nothing is offered any more.
    void sort() {
        for (std::size_t left = count_; left > 1; --left) {
            const float worst = scores_[0];
            const std::int64_t id = ids_[0];
            sink(0, left - 1, scores_[left - 1], ids_[left - 1]);
            scores_[left - 1] = worst;
            ids_[left - 1] = id;
        }
    }

  private:
    static bool is_better(float score, std::int64_t id, float other, std::int64_t other_id) {
        return score > other || (score == other && id < other_id);
    }

    // Puts a score where it belongs in the heap below `at`, of `size`; what was at it is lost.
    void sink(std::size_t at, std::size_t size, float score, std::int64_t id) {
        for (std::size_t below = 2 * at + 1; below < size; below = 2 * at + 1) {
            const std::size_t next = below + 1;
            if (next < size && is_better(scores_[below], ids_[below], scores_[next], ids_[next]))
                below = next;
            if (!is_better(score, id, scores_[below], ids_[below])) break;
            scores_[at] = scores_[below];
            ids_[at] = ids_[below];
            at = below;
        }
        scores_[at] = score;
        ids_[at] = id;
    }

    float* scores_;
    std::int64_t* ids_;
    std::size_t count_, free_;  // free_: at the front
    float least_ = -HUGE_VALF;
};

// Of kBlock floats.
float find_largest(const float* x) {
    Floats top[kSums];
    for (std::size_t i = 0; i < kSums; ++i) top[i] = Floats::load(x + i * Floats::kWidth);
    for (std::size_t at = kStep; at < kBlock; at += kStep) {
        for (std::size_t i = 0; i < kSums; ++i)
            top[i] = larger(top[i], Floats::load(x + at + i * Floats::kWidth));
    }
    return larger(top[0], top[1]).largest();
}

// Of e^(x - largest), of kBlock floats.
double sum_powers(const float* x, float largest) {
    const Floats shift = Floats::fill(largest), log2_of_e = Floats::fill(1.44269504088896341f);
    Floats sums[kSums] = {Floats::zero(), Floats::zero()};
    for (std::size_t at = 0; at < kBlock; at += kStep) {
        for (std::size_t i = 0; i < kSums; ++i) {
            const Floats distance = Floats::load(x + at + i * Floats::kWidth) - shift;
            sums[i] = sums[i] + power_of_two(distance * log2_of_e);
        }
    }
    return static_cast<double>((sums[0] + sums[1]).sum());
}

class Row {
  public:
    Row(const LogSoftmaxTopK& a, std::size_t row)
        : x_(a.logits + row * a.columns),
          y_(a.log_probs + row * a.columns),
          columns_(a.columns),
          best_(a.top_scores + row * a.count, a.top_ids + row * a.count, a.count) {}

    // Finds the sum, and what none of the best is below: the worst of the blocks' largest, as far
    // as these are among the best of their kind.
    void look() {
        double sum = 0;
        std::size_t at = 0;
        for (; at + kBlock <= columns_; at += kBlock) {
            const float* next = x_ + at + kBlock;
            for (std::size_t i = 0; i < kBlock; i += kLine) __builtin_prefetch(next + i);
            add(x_ + at, at, sum);
        }
        if (at < columns_) {
            float last[kBlock];
            for (std::size_t i = 0; i < kBlock; ++i)
                last[i] = at + i < columns_ ? x_[at + i] : -HUGE_VALF;
            add(last, at, sum);
        }
        // The largest counts for one: less is the sum of nothing but minus infinities.
        log_sum_ = sum < 1 ? std::nanf("") : static_cast<float>(std::log(sum));
        best_.restart(best_.has_all() ? log_prob(best_.worst()) : -HUGE_VALF);
    }

    // By ascending column, as `Best` wants it.
    void write() {
        std::size_t at = 0;
        for (; at < columns_ && !is_aligned(y_ + at); ++at) write_one(at);
        for (; at + kBlock <= columns_; at += kBlock) {
            if (best_.wants(write_block(at))) offer(at);
        }
        for (; at < columns_; ++at) write_one(at);
        best_.sort();
        finish_streams();
    }

  private:
    static bool is_aligned(const float* p) {
        return reinterpret_cast<std::uintptr_t>(p) % sizeof(Floats) == 0;
    }

    // Both in the order of ONNX Runtime's LogSoftmax: scores are equal where they are there.
    float log_prob(float x) const { return x - largest_ - log_sum_; }
    Floats log_probs(const float* x) const {
        return Floats::load(x) - Floats::fill(largest_) - Floats::fill(log_sum_);
    }

    void add(const float* block, std::size_t at, double& sum) {
        const float top = find_largest(block);
        best_.offer(top, at);
        if (top > largest_) {
            sum *= std::exp(static_cast<double>(largest_) - static_cast<double>(top));
            largest_ = top;
        }
        sum += sum_powers(block, largest_);
    }

    void write_one(std::size_t column) {
        y_[column] = log_prob(x_[column]);
        best_.offer(y_[column], column);
    }

    // The largest that was written.
    float write_block(std::size_t column) const {
        Floats top[kSums] = {Floats::fill(-HUGE_VALF), Floats::fill(-HUGE_VALF)};
        for (std::size_t at = column; at < column + kBlock; at += kStep) {
            for (std::size_t i = 0; i < kSums; ++i) {
                const Floats found = log_probs(x_ + at + i * Floats::kWidth);
                found.stream(y_ + at + i * Floats::kWidth);
                top[i] = larger(top[i], found);
            }
        }
        return larger(top[0], top[1]).largest();
    }

    void offer(std::size_t column) {
        for (std::size_t at = column; at < column + kBlock; at += Floats::kWidth) {
            const Floats found = log_probs(x_ + at);
            if (!best_.wants(found.largest())) continue;
            float scores[Floats::kWidth];
            found.store(scores);
            for (std::size_t i = 0; i < Floats::kWidth; ++i) best_.offer(scores[i], at + i);
        }
    }

    const float* x_;
    float* y_;
    std::size_t columns_;
    float largest_ = kLowest, log_sum_ = 0;
    Best best_;
};

}  // namespace

void log_softmax_top_k(const LogSoftmaxTopK& a, const Threads& threads) {
    // A power takes about as long as 16 multiplications.
    each_run(threads, a.rows, 16 * a.rows * a.columns, [&](std::size_t begin, std::size_t end) {
        for (std::size_t row = begin; row < end; ++row) {
            Row here(a, row);
            here.look();
            here.write();
        }
    });
}

}  // namespace pegasus::PEGASUS_SET
