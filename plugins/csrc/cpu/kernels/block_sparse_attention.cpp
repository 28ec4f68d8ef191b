// BigBird's attention: which keys a block of queries sees, and the blocks in turn over threads.
#include <new>

#include "functions.h"
#include "query_tile.h"

namespace pegasus::PEGASUS_SET {

namespace {

struct Memory {
    explicit Memory(std::size_t count)
        : floats(static_cast<float*>(::operator new(count * sizeof(float), kLine))) {}
    ~Memory() { ::operator delete(floats, kLine); }
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;

    static constexpr std::align_val_t kLine{64};
    float* floats;
};

// Tiles of queries in the order in which they are begun: of each document and head those of the
// first and last blocks, which see every key and take longest, before the others of the one before,
// so that no thread begins one when the others are done.
class Tiles {
  public:
    explicit Tiles(const BlockSparseAttention& a)
        : is_sparse(a.length > a.longest_full),
          block_size(is_sparse ? a.block_size : kTileQueries),
          blocks(divide_up(a.length, block_size)),
          ends_(is_sparse ? smaller<std::size_t>(blocks, 2) : 0),
          per_block_(divide_up(block_size, kTileQueries)),
          pairs_(a.batch * a.heads) {}

    struct Place {
        std::size_t pair, block, start;  // start: of the queries in the block
    };

    std::size_t count() const { return pairs_ * blocks * per_block_; }

    Place find(std::size_t i) const {
        const std::size_t start = i % per_block_ * kTileQueries;
        i /= per_block_;
        if (i < ends_) return {0, i * (blocks - 1), start};
        i -= ends_;
        const std::size_t pair = i / blocks;
        i %= blocks;
        const std::size_t ahead = pair + 1 < pairs_ ? ends_ : 0;
        if (i < ahead) return {pair + 1, i * (blocks - 1), start};
        return {pair, i - ahead + (ends_ > 0), start};
    }

    bool is_sparse;
    std::size_t block_size;
    std::size_t blocks;

  private:
    std::size_t ends_, per_block_, pairs_;
};

// The keys of one document and head.
class Source {
  public:
    Source(const BlockSparseAttention& a, std::size_t pair)
        : stride(a.heads * a.head_dim),
          mask(a.mask + pair / a.heads * a.length),
          start(pair / a.heads * a.length * stride + pair % a.heads * a.head_dim),
          key_(a.key + start),
          value_(a.value + start),
          length_(a.length) {}

    bool has_token(std::size_t begin, std::size_t end) const {
        for (std::size_t i = begin; i < end; ++i) {
            if (mask[i] != 0) return true;
        }
        return false;
    }

    // Keys that are padding weigh nothing, and are left out.
    void show(QueryTile& tile, std::size_t begin, std::size_t end, float bias) const {
        end = smaller(end, length_);
        for (std::size_t i = begin; i < end; ++i) {
            if (mask[i] != 0) tile.see(key_ + i * stride, value_ + i * stride, bias);
        }
    }

    void show_padding(QueryTile& tile) const {
        for (std::size_t i = 0; i < length_; ++i) {
            tile.see(key_ + i * stride, value_ + i * stride, 0.0f);
        }
    }

    std::size_t stride;
    const std::int64_t* mask;
    std::size_t start;  // of the first row, in floats

  private:
    const float* key_;
    const float* value_;
    std::size_t length_;
};

void show_middle(const BlockSparseAttention& a, const Source& source, QueryTile& tile,
                 std::size_t head, std::size_t block, std::size_t blocks) {
    const std::size_t size = a.block_size, last = blocks - 1;
    const float times = a.random_blocks ? 1.0f : 1.0f + static_cast<float>(a.num_random);
    source.show(tile, 0, size, std::log2(times));
    // A neighbour that is the first or the last block is not seen twice.
    const std::size_t left = larger<std::size_t>(block - 1, 1), right = smaller(block + 1, last - 1);
    source.show(tile, left * size, (right + 1) * size, 0.0f);
    source.show(tile, last * size, blocks * size, 0.0f);
    if (!a.random_blocks) return;
    const std::int64_t* chosen =
        a.random_blocks + (head * a.table_rows + block - 1) * a.num_random;
    for (std::size_t i = 0; i < a.num_random; ++i) {
        const auto other = static_cast<std::size_t>(chosen[i]);
        if (other < blocks) source.show(tile, other * size, (other + 1) * size, 0.0f);
    }
}

void attend_tile(const BlockSparseAttention& a, const Tiles& tiles, const Tiles::Place& place,
                 QueryTile& tile) {
    const std::size_t begin = place.block * tiles.block_size + place.start;
    const std::size_t end = smaller(smaller(begin + kTileQueries, a.length),
                                    (place.block + 1) * tiles.block_size);
    if (begin >= end) return;
    const Source source(a, place.pair);
    const std::size_t at = source.start + begin * source.stride;
    float* output = a.output + at;
    const auto clear = [&](std::size_t i) {
        std::memset(output + (i - begin) * source.stride, 0, a.head_dim * sizeof(float));
    };
    if (tiles.is_sparse && !source.has_token(begin, end)) {
        for (std::size_t i = begin; i < end; ++i) clear(i);
        return;
    }
    // Where all is padding every score is the lowest float: all alike, as those of zero queries.
    const bool is_blank = !tiles.is_sparse && !source.has_token(0, a.length);
    const float scale = is_blank ? 0.0f : 1.0f / std::sqrt(static_cast<float>(a.head_dim));
    tile.begin(a.query + at, source.stride, end - begin, scale);
    const bool is_middle = tiles.is_sparse && place.block > 0 && place.block + 1 < tiles.blocks;
    if (is_blank) {
        source.show_padding(tile);
    } else if (is_middle) {
        show_middle(a, source, tile, place.pair % a.heads, place.block, tiles.blocks);
    } else {
        source.show(tile, 0, a.length, 0.0f);
    }
    tile.finish(output, source.stride);
    if (!tiles.is_sparse) return;
    for (std::size_t i = begin; i < end; ++i) {
        if (source.mask[i] == 0) clear(i);
    }
}

}  // namespace

void block_sparse_attention(const BlockSparseAttention& a, const Threads& threads) {
    const Tiles tiles(a);
    const std::size_t floats = QueryTile::count_floats(a.head_dim);
    const std::size_t workers = smaller(tiles.count(), static_cast<std::size_t>(threads.width));
    if (workers == 0) return;
    const Memory memory(workers * floats);
    std::size_t next = 0;  // a thread takes what is next, so that one that wakes late takes less
    threads.each(workers, [&](std::size_t worker) {
        QueryTile tile(memory.floats + worker * floats, a.head_dim);
        for (;;) {
            const std::size_t i = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
            if (i >= tiles.count()) return;
            attend_tile(a, tiles, tiles.find(i), tile);
        }
    });
}

}  // namespace pegasus::PEGASUS_SET
