// Products of rows rounded to bytes and packed int8, exact in integers.
//
// Rows are rounded first, into scratch memory: by the calling thread where there are few. Then each
// task takes some panels of columns, and for each panel a tile of rows after the other. A panel
// streams from memory once for all rows; what rows there are stays in the second cache.
#include "dot_products.h"
#include "functions.h"

namespace pegasus::PEGASUS_SET {

namespace {

constexpr std::size_t kLine = 64;               // bytes
constexpr std::size_t kPage = 4096;             // of memory, where processors stop fetching ahead
constexpr std::size_t kScratchBytes = 2 << 20;  // of rounded rows at a time
constexpr std::size_t kBlockBytes = 512 << 10;  // of them, what the second cache keeps
constexpr std::size_t kRoundedAtOnce = 32 << 10;  // floats: some 10 us
constexpr std::size_t kProductsAtOnce = 3 << 20;  // of bytes: some 20 us
constexpr std::size_t kStreamedAtOnce = 128 << 10;  // bytes of weights: some 10 us
constexpr std::size_t kPanelVectors = kPanelColumns / Floats::kWidth;

// Of one thread that calls; it grows to kScratchBytes or one row, and stays.
class Scratch {
  public:
    ~Scratch() { release(); }

    Byte* take(std::size_t size) {
        if (size > size_) {
            release();
            data_ = ::operator new(size, std::align_val_t(kLine));
            size_ = size;
        }
        return static_cast<Byte*>(data_);
    }

  private:
    void release() {
        if (data_) ::operator delete(data_, std::align_val_t(kLine));
        data_ = nullptr;
        size_ = 0;
    }

    void* data_ = nullptr;
    std::size_t size_ = 0;
};

thread_local Scratch scratch;

// Some rows of the input, rounded.
struct Rows {
    const Int8Linear& linear;
    std::size_t first;   // of the input's rows
    std::size_t count;
    std::size_t stride;  // bytes
    Byte* bytes;
    float* largest;      // magnitude of each
    int zero;
    float step;
};

float largest_magnitude(const float* row, std::size_t depth) {
    Integers most = fill_integers(0);
    std::size_t k = 0;
    for (; k + Floats::kWidth <= depth; k += Floats::kWidth) {
        most = larger_bits(most, Floats::load(row + k));
    }
    if (k < depth) most = larger_bits(most, Floats::load_some(row + k, depth - k));
    const std::int32_t bits = largest(most);
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

// Divides twice, as the stock spelling does: a product with the inverse rounds otherwise. Of a row
// of zeros, 0 / 0 becomes the lowest byte.
void round_row(const Rows& rows, std::size_t m) {
    const std::size_t depth = rows.linear.weight.depth;
    const float* row = rows.linear.input + (rows.first + m) * depth;
    Byte* bytes = rows.bytes + m * rows.stride;
    const float most = largest_magnitude(row, depth);
    rows.largest[m] = most;
    const Floats size = Floats::fill(most), step = Floats::fill(rows.step);
    const Floats zero = Floats::fill(static_cast<float>(rows.zero));
    const Floats low = Floats::zero() - zero, high = Floats::fill(255.0f) - zero;
    const auto round = [&](Floats x) {
        return to_nearest(smaller(larger(x / size / step, low), high)) + zero;
    };
    std::size_t k = 0;
    for (; k + Floats::kWidth <= depth; k += Floats::kWidth) {
        round(Floats::load(row + k)).store_bytes(bytes + k);
    }
    if (k < depth) round(Floats::load_some(row + k, depth - k)).store_bytes(bytes + k);
}

void round_rows(const Rows& rows, const Threads& threads) {
    const std::size_t at_once = divide_up(kRoundedAtOnce, rows.linear.weight.depth);
    threads.each(divide_up(rows.count, at_once), [&](std::size_t task) {
        const std::size_t end = smaller(rows.count, (task + 1) * at_once);
        for (std::size_t m = task * at_once; m < end; ++m) round_row(rows, m);
    });
}

// One panel of columns.
struct Panel {
    const std::int8_t* values;  // [ceil(K / 4), 32, 4]
    std::size_t bytes;
    std::size_t first;  // column
    std::size_t width;  // columns
    Integers start[kPanelVectors];  // what the sums begin with
    Floats scale[kPanelVectors];    // step * scale
    Floats bias[kPanelVectors];
};

Floats load_columns(const float* values, const Panel& panel, std::size_t i) {
    const std::size_t column = i * Floats::kWidth;
    if (column >= panel.width) return Floats::zero();
    const float* from = values + panel.first + column;
    const std::size_t count = panel.width - column;
    return count < Floats::kWidth ? Floats::load_some(from, count) : Floats::load(from);
}

Panel make_panel(const Rows& rows, std::size_t index) {
    const PackedInt8& weight = rows.linear.weight;
    Panel panel;
    panel.bytes = divide_up(weight.depth, kPanelDepth) * kPanelDepth * kPanelColumns;
    panel.values = weight.values + index * panel.bytes;
    panel.first = index * kPanelColumns;
    panel.width = smaller<std::size_t>(kPanelColumns, weight.columns - panel.first);
    const Integers zero = fill_integers(kByteOffset - rows.zero);
    for (std::size_t i = 0; i < kPanelVectors; ++i) {
        const std::int32_t* sums = weight.sums + panel.first + i * Floats::kWidth;
        panel.start[i] = multiply(zero, load_integers(sums));
        panel.scale[i] = Floats::fill(rows.step) * load_columns(rows.linear.scale, panel, i);
        if (rows.linear.bias) panel.bias[i] = load_columns(rows.linear.bias, panel, i);
    }
    return panel;
}

// Integers -> what the stock spelling makes of them, in its order.
void finish_row(const Rows& rows, const Panel& panel, std::size_t m, const Integers* sums) {
    const Int8Linear& linear = rows.linear;
    float* output = linear.output + (rows.first + m) * linear.weight.columns + panel.first;
    const Floats size = Floats::fill(rows.largest[m]);
    for (std::size_t i = 0; i < kPanelVectors; ++i) {
        const std::size_t column = i * Floats::kWidth;
        if (column >= panel.width) return;
        Floats y = to_floats(sums[i]) * panel.scale[i] * size;
        if (linear.bias) y = y + panel.bias[i];
        if (linear.rectify) y = larger(Floats::zero(), y);  // the second where it is NaN
        const std::size_t count = panel.width - column;
        if (count < Floats::kWidth) {
            y.store_some(output + column, count);
        } else {
            y.store(output + column);
        }
    }
}

// What finish_row writes for kRows rows, of which a line may be far away.
template <int kRows>
void fetch_output(const Rows& rows, const Panel& panel, std::size_t m) {
    const std::size_t columns = rows.linear.weight.columns;
    const float* output = rows.linear.output + (rows.first + m) * columns + panel.first;
    for (int r = 0; r < kRows; ++r, output += columns) {
        for (std::size_t i = 0; i < panel.width; i += kLine / sizeof(float)) {
            __builtin_prefetch(output + i, 1);
        }
        __builtin_prefetch(output + panel.width - 1, 1);
    }
}

// kRows rows from m on. Where g++ does not unroll loops early, it leaves the sums in memory.
// kLines: so many are fetched at each step, from `ahead` on.
template <int kRows, int kLines>
void multiply_tile(const Rows& rows, const Panel& panel, std::size_t m, const std::int8_t* ahead) {
    fetch_output<kRows>(rows, panel, m);
    Integers sums[kRows][kPanelVectors];
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
        for (std::size_t i = 0; i < kPanelVectors; ++i) sums[r][i] = panel.start[i];
    }
    const std::size_t stride = rows.stride;
    const Byte* thirds[(kRows + 2) / 3];  // the addresses of three rows need one register
#pragma GCC unroll 4
    for (int r = 0; r < kRows; r += 3) thirds[r / 3] = rows.bytes + (m + r) * stride;
    const std::int8_t* values = panel.values;
    const std::int8_t* end = values + panel.bytes;
    for (; values < end; values += kPanelColumns * kPanelDepth) {
        if constexpr (kLines == 1) __builtin_prefetch(ahead);
        if constexpr (kLines == 2) {  // to the second cache: the first is filled by what is read
            __builtin_prefetch(ahead, 0, 2);
            __builtin_prefetch(ahead + kLine, 0, 2);
        }
        ahead += kLines * kLine;
#pragma GCC unroll 12
        for (int r = 0; r < kRows; ++r) {
            const Integers bytes = fill_bytes(thirds[r / 3] + r % 3 * stride);
#pragma GCC unroll 8
            for (std::size_t i = 0; i < kPanelVectors; ++i) {
                const Integers column = load_integers(values + i * sizeof(Integers));
                sums[r][i] = dot(sums[r][i], bytes, column);
            }
        }
#pragma GCC unroll 4
        for (int r = 0; r < kRows; r += 3) thirds[r / 3] += kPanelDepth;
    }
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
        Integers row_sums[kPanelVectors];  // not `sums` itself, which has to stay in registers
#pragma GCC unroll 8
        for (std::size_t i = 0; i < kPanelVectors; ++i) row_sums[i] = sums[r][i];
        finish_row(rows, panel, m + r, row_sums);
    }
}

using Tile = void (*)(const Rows&, const Panel&, std::size_t, const std::int8_t*);

template <int kLines, int... kNumbers>
Tile choose_tile(std::size_t height, Numbers<kNumbers...>) {
    static constexpr Tile tiles[] = {multiply_tile<kNumbers + 1, kLines>...};
    return tiles[height - 1];
}

// Rows from `first` to `end` in tiles of about one height. The first tile waits for the panel's
// memory: with few rows it fetches what it reads a page later. With more, the second and the third
// tile fetch the next panel while they compute.
void multiply_panel(const Rows& rows, const Panel& panel, std::size_t first, std::size_t end) {
    const std::size_t tiles = divide_up(end - first, kTileRows);
    const std::size_t half = panel.bytes / 2 / kLine * kLine;
    const std::int8_t* next = panel.values + panel.bytes;
    std::size_t m = first;
    for (std::size_t tile = 0; tile < tiles; ++tile) {
        const std::size_t height = divide_up(end - m, tiles - tile);
        const auto multiply = [&]<int kLines>(const std::int8_t* ahead) {
            choose_tile<kLines>(height, CountTo<kTileRows>{})(rows, panel, m, ahead);
        };
        if (tiles <= 3 && tile == 0) {
            multiply.template operator()<2>(panel.values + kPage);
        } else if (tiles > 3 && (tile == 1 || tile == 2)) {
            multiply.template operator()<1>(next + (tile - 1) * half);
        } else {
            multiply.template operator()<0>(panel.values);
        }
        m += height;
    }
}

void multiply_rows(const Rows& rows, const Threads& threads) {
    const PackedInt8& weight = rows.linear.weight;
    const std::size_t panels = divide_up(weight.columns, kPanelColumns);
    const std::size_t blocks = divide_up(rows.count * rows.stride, kBlockBytes);
    const std::size_t height = divide_up(rows.count, blocks);
    const std::size_t panel_bytes = weight.depth * kPanelColumns;
    const std::size_t by_products = divide_up(kProductsAtOnce, panel_bytes * height);
    const std::size_t by_bytes = divide_up(kStreamedAtOnce, panel_bytes);
    const std::size_t at_once = smaller(by_products, by_bytes);
    const std::size_t groups = divide_up(panels, at_once);
    threads.each(groups * blocks, [&](std::size_t task) {
        const std::size_t first = task / groups * height;
        const std::size_t end = smaller(rows.count, first + height);
        if (first >= end) return;
        const std::size_t group = task % groups;
        const std::size_t last = smaller(panels, (group + 1) * at_once);
        for (std::size_t panel = group * at_once; panel < last; ++panel) {
            multiply_panel(rows, make_panel(rows, panel), first, end);
        }
    });
}

}  // namespace

void int8_linear(const Int8Linear& linear, const Threads& threads) {
    if (linear.rows == 0 || linear.weight.columns == 0) return;
    // A line more than the row, lest rows of 4096 bytes fall on one another in the first cache.
    const std::size_t stride = divide_up(linear.weight.depth, kLine) * kLine + kLine;
    const std::size_t at_once = larger<std::size_t>(kScratchBytes / stride, 1);
    const std::size_t count = smaller(linear.rows, at_once);
    Byte* bytes = scratch.take(count * (stride + sizeof(float)));
    Rows rows{linear, 0, 0, stride, bytes, reinterpret_cast<float*>(bytes + count * stride),
              linear.is_positive ? 0 : 128, 1.0f / (linear.is_positive ? 255.0f : 127.0f)};
    for (; rows.first < linear.rows; rows.first += rows.count) {
        rows.count = smaller(at_once, linear.rows - rows.first);
        round_rows(rows, threads);
        multiply_rows(rows, threads);
    }
}

}  // namespace pegasus::PEGASUS_SET
