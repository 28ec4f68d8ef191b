#include "round_rows.h"

namespace pegasus::PEGASUS_SET {

namespace {

// Rows that are rounded, and multiplied, before the next are looked at: with up to 4096 inner
// positions, they fit into half of a second-level cache.
constexpr std::size_t kBlockBytes = 512 * 1024;
constexpr std::size_t kFewRows = 16;  // rounded by the calling thread: quicker than to share it
constexpr std::size_t kTaskProducts = 1 << 20;  // at least so many of a task, some 5 us

struct Rounded {
    Byte* values;    // [rows, stride]
    float* largest;  // [rows]
    std::size_t stride;
};

// What one thread works in; it grows to what the largest product of the process needs.
class Scratch {
  public:
    ~Scratch() { ::operator delete(memory_, std::align_val_t{64}); }

    Byte* of(std::size_t bytes) {
        if (bytes > bytes_) {
            ::operator delete(memory_, std::align_val_t{64});
            memory_ = nullptr;
            bytes_ = 0;
            memory_ = static_cast<Byte*>(::operator new(bytes, std::align_val_t{64}));
            bytes_ = bytes;
        }
        return memory_;
    }

  private:
    Byte* memory_ = nullptr;
    std::size_t bytes_ = 0;
};

thread_local Scratch scratch;

// One row of a tile: from integers to floats, in the order in which the stock spelling rounds.
void finish_row(const Int8Linear& linear, const std::int32_t* sums, float largest, std::size_t first,
                float* output) {
    const float step = linear.is_positive ? 1.0f / 255.0f : 1.0f / 127.0f;
    const std::int32_t zero = (linear.is_positive ? 0 : 128) - (kIsSigned ? 128 : 0);
    const std::int32_t* totals = linear.weight.sums + first;
    const std::size_t columns = smaller<std::size_t>(linear.weight.columns - first, kPanelColumns);
    const float* scale = linear.scale + first;
    const float* bias = linear.bias ? linear.bias + first : nullptr;
    for (std::size_t n = 0; n < columns; ++n) {
        const float sum = static_cast<float>(sums[n] - zero * totals[n]);
        float y = sum * (step * scale[n]) * largest;
        if (bias) y += bias[n];
        if (linear.rectify) y = y < 0.0f ? 0.0f : y;
        output[n] = y;
    }
}

template <int kRows>
void multiply_rows(const Int8Linear& linear, const Rounded& rounded, std::size_t row,
                   std::size_t panel, float* output) {
    alignas(64) std::int32_t sums[kRows][kPanelColumns];
    const std::size_t groups = divide_up(linear.weight.depth, kPanelDepth);
    const std::size_t first = panel * kPanelColumns;
    const std::int8_t* weights = linear.weight.values + panel * groups * kPanelColumns * kPanelDepth;
    multiply_tile<kRows>(rounded.values + row * rounded.stride, rounded.stride, weights, groups,
                         sums);
    for (int r = 0; r < kRows; ++r) {
        float* place = output + (row + r) * linear.weight.columns + first;
        finish_row(linear, sums[r], rounded.largest[row + r], first, place);
    }
}

using MultiplyRows = void (*)(const Int8Linear&, const Rounded&, std::size_t, std::size_t, float*);

template <int... kRows>
MultiplyRows choose_tile(std::size_t rows, Numbers<kRows...>) {
    static constexpr MultiplyRows tiles[] = {multiply_rows<kRows + 1>...};
    return tiles[rows - 1];
}

void multiply_panel(const Int8Linear& linear, const Rounded& rounded, std::size_t rows,
                    std::size_t panel, float* output) {
    // Tiles of nearly the same height: the last of 64 rows in twelves would be of four.
    const std::size_t tiles = divide_up(rows, kTileRows);
    std::size_t row = 0;
    for (std::size_t tile = 0; tile < tiles; ++tile) {
        const std::size_t height = divide_up(rows - row, tiles - tile);
        choose_tile(height, CountTo<kTileRows>{})(linear, rounded, row, panel, output);
        row += height;
    }
}

void multiply_block(const Int8Linear& linear, std::size_t first_row, std::size_t rows,
                    const Rounded& rounded, const Threads& threads) {
    const std::size_t depth = linear.weight.depth;
    const auto round = [&](std::size_t row) {
        rounded.largest[row] = round_row(linear.input + (first_row + row) * depth, depth,
                                         linear.is_positive, rounded.values + row * rounded.stride);
    };
    if (rows <= kFewRows) {
        for (std::size_t row = 0; row < rows; ++row) round(row);
    } else {
        threads.each(divide_up(rows, kFewRows), [&](std::size_t part) {
            const std::size_t end = smaller(rows, (part + 1) * kFewRows);
            for (std::size_t row = part * kFewRows; row < end; ++row) round(row);
        });
    }
    const std::size_t panels = divide_up(linear.weight.columns, kPanelColumns);
    const std::size_t products = rows * depth * kPanelColumns;
    const std::size_t least = divide_up(kTaskProducts, products);
    const std::size_t fair = divide_up(panels, static_cast<std::size_t>(threads.width) * 8);
    const std::size_t together = larger(least, fair);
    float* output = linear.output + first_row * linear.weight.columns;
    threads.each(divide_up(panels, together), [&](std::size_t part) {
        const std::size_t end = smaller(panels, (part + 1) * together);
        for (std::size_t panel = part * together; panel < end; ++panel)
            multiply_panel(linear, rounded, rows, panel, output);
    });
}

}  // namespace

void int8_linear(const Int8Linear& linear, const Threads& threads) {
    if (linear.rows == 0 || linear.weight.columns == 0) return;
    const std::size_t stride = divide_up(linear.weight.depth, 64) * 64;
    const std::size_t most = larger<std::size_t>(kTileRows, kBlockBytes / stride);
    const std::size_t blocks = divide_up(linear.rows, most);
    const std::size_t height = divide_up(linear.rows, blocks);
    Byte* memory = scratch.of(height * (stride + sizeof(float)));
    const Rounded rounded{memory, reinterpret_cast<float*>(memory + height * stride), stride};
    for (std::size_t row = 0; row < linear.rows; row += height)
        multiply_block(linear, row, smaller(height, linear.rows - row), rounded, threads);
}

}  // namespace pegasus::PEGASUS_SET
