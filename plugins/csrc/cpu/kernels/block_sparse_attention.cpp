// BigBird's attention: which keys each block of queries sees, and all of them in turn over threads.
#include <new>

#include "functions.h"
#include "query_tiles.h"

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

// Queries of one document and head that are attended to together: tiles `first` to `end` of the
// ends or of the others.
struct Group {
    std::size_t pair;
    bool is_ends;
    std::size_t first, end;
};

// Groups in the order in which they are begun: the first and the last block, which see every key
// and take longest, before the others of the pair before, so that no thread begins them when the
// rest is done.
class Plan {
  public:
    Plan(const BlockSparseAttention& a, int threads)
        : is_sparse(a.length > a.longest_full),
          block_size(is_sparse ? a.block_size : kTileQueries),
          blocks(divide_up(a.length, block_size)),
          per_block(divide_up(block_size, kTileQueries)),
          num_ends(is_sparse ? smaller<std::size_t>(blocks, 2) : 0),
          pairs_(a.batch * a.heads) {
        const std::size_t tiles = pairs_ * blocks * per_block;
        const std::size_t fair = tiles / (8 * static_cast<std::size_t>(threads));
        tiles_ = larger<std::size_t>(1, smaller(fair, kMostTiles));
        ends_ = divide_up(num_ends * per_block, tiles_);
        others_ = divide_up((blocks - num_ends) * per_block, tiles_);
    }

    std::size_t count() const { return pairs_ * (ends_ + others_); }

    Group find(std::size_t i) const {
        if (i < ends_) return take(0, true, i);
        i -= ends_;
        const std::size_t pair = i / (ends_ + others_);
        i %= ends_ + others_;
        const std::size_t ahead = pair + 1 < pairs_ ? ends_ : 0;
        return i < ahead ? take(pair + 1, true, i) : take(pair, false, i - ahead);
    }

    // Of a tile of a group.
    std::size_t find_block(bool is_ends, std::size_t tile) const {
        const std::size_t block = tile / per_block;
        if (is_ends) return block * (blocks - 1);
        return block + (num_ends > 0);
    }

    const bool is_sparse;
    const std::size_t block_size, blocks, per_block, num_ends;

  private:
    Group take(std::size_t pair, bool is_ends, std::size_t i) const {
        const std::size_t all = (is_ends ? num_ends : blocks - num_ends) * per_block;
        return {pair, is_ends, i * tiles_, smaller((i + 1) * tiles_, all)};
    }

    std::size_t pairs_, tiles_, ends_, others_;
};

// One document and head, and the tiles of a group of it.
template <class Word>
class Attention {
  public:
    Attention(const BlockSparseAttention& a, const Plan& plan, QueryTiles<Word>& tiles,
              std::size_t pair)
        : a_(a),
          plan_(plan),
          tiles_(tiles),
          head_(pair % a.heads),
          first_row_(pair / a.heads * a.length),
          mask_(a.mask + first_row_) {}

    void attend(const Group& group) {
        // Where all is padding every score is the lowest float: all alike, as of zero queries.
        is_blank_ = !plan_.is_sparse && !has_token(0, a_.length);
        for (std::size_t tile = group.first; tile < group.end; ++tile) {
            add(plan_.find_block(group.is_ends, tile), tile % plan_.per_block);
        }
        if (count_ == 0) return;
        if (plan_.is_sparse && !group.is_ends) {
            show_middle();
        } else {
            show(0, count_, 0, a_.length, 0.0f);
        }
        tiles_.finish();
        for (std::size_t i = 0; i < count_; ++i) clear_padding(places_[i].begin, places_[i].end);
    }

  private:
    // In floats, where a token's part of the head is in what is read and in what is written.
    std::size_t find(std::size_t token) const {
        return (first_row_ + token) * a_.stride + head_ * a_.head_dim;
    }
    std::size_t find_output(std::size_t token) const {
        return ((first_row_ + token) * a_.heads + head_) * a_.head_dim;
    }

    bool has_token(std::size_t begin, std::size_t end) const {
        for (std::size_t i = begin; i < end; ++i) {
            if (mask_[i] != 0) return true;
        }
        return false;
    }

    // Tile `part` of a block, if there is anything to compute.
    void add(std::size_t block, std::size_t part) {
        const std::size_t begin = block * plan_.block_size + part * kTileQueries;
        const std::size_t block_end = smaller((block + 1) * plan_.block_size, a_.length);
        const std::size_t end = smaller(begin + kTileQueries, block_end);
        if (begin >= end) return;
        if (plan_.is_sparse && !has_token(begin, end)) return clear_padding(begin, end);
        const float scale = is_blank_ ? 0.0f : 1.0f / std::sqrt(static_cast<float>(a_.head_dim));
        tiles_.add({a_.query + find(begin), a_.stride},
                   {a_.output + find_output(begin), a_.heads * a_.head_dim}, end - begin, scale);
        places_[count_++] = {block, begin, end};
    }

    // Of sparse attention alone.
    void clear_padding(std::size_t begin, std::size_t end) const {
        if (!plan_.is_sparse) return;
        for (std::size_t i = begin; i < end; ++i) {
            if (mask_[i] != 0) continue;
            std::memset(a_.output + find_output(i), 0, a_.head_dim * sizeof(float));
        }
    }

    // Shows keys to tiles; those that are padding weigh nothing, and are left out.
    void show(std::size_t first_tile, std::size_t end_tile, std::size_t begin, std::size_t end,
              float bias) {
        tiles_.show_to(first_tile, end_tile);
        end = smaller(end, a_.length);
        for (std::size_t i = begin; i < end; ++i) {
            if (mask_[i] == 0 && !is_blank_) continue;
            tiles_.see(a_.key + find(i), a_.value + find(i), bias);
        }
    }

    void show_block(std::size_t first_tile, std::size_t end_tile, std::size_t block, float bias) {
        show(first_tile, end_tile, block * a_.block_size, (block + 1) * a_.block_size, bias);
    }

    void show_middle() {
        const std::size_t last = plan_.blocks - 1;
        const float times = a_.random_blocks ? 1.0f : 1.0f + static_cast<float>(a_.num_random);
        show_block(0, count_, 0, std::log(times));
        show_block(0, count_, last, 0.0f);
        // A neighbour that is the first or the last block is not seen twice.
        std::size_t first = 0, end = 0;  // tiles that see the block
        for (std::size_t block = larger<std::size_t>(places_[0].block - 1, 1);
             block <= smaller(places_[count_ - 1].block + 1, last - 1); ++block) {
            while (places_[first].block + 1 < block) ++first;
            while (end < count_ && places_[end].block <= block + 1) ++end;
            if (first < end) show_block(first, end, block, 0.0f);
        }
        if (!a_.random_blocks) return;
        for (std::size_t i = 0; i < count_; ++i) show_random(i);
    }

    void show_random(std::size_t tile) {
        const std::size_t row = head_ * a_.table_rows + places_[tile].block - 1;
        for (std::size_t i = 0; i < a_.num_random; ++i) {
            const auto block = static_cast<std::size_t>(a_.random_blocks[row * a_.num_random + i]);
            if (block < plan_.blocks) show_block(tile, tile + 1, block, 0.0f);
        }
    }

    struct Place {
        std::size_t block, begin, end;
    };

    const BlockSparseAttention& a_;
    const Plan& plan_;
    QueryTiles<Word>& tiles_;
    std::size_t head_, first_row_;
    const std::int64_t* mask_;
    bool is_blank_ = false;
    Place places_[kMostTiles];
    std::size_t count_ = 0;
};

template <class Word>
void attend(const BlockSparseAttention& a, const Threads& threads) {
    const Plan plan(a, threads.width);
    const std::size_t floats = QueryTiles<Word>::count_floats(a.head_dim);
    const std::size_t workers = smaller(plan.count(), static_cast<std::size_t>(threads.width));
    if (workers == 0) return;
    const Memory memory(workers * floats);
    std::size_t next = 0;  // a thread takes what is next, so that one that wakes late takes less
    threads.each(workers, [&](std::size_t worker) {
        QueryTiles<Word> tiles(memory.floats + worker * floats, a.head_dim);
        for (;;) {
            const std::size_t i = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
            if (i >= plan.count()) return;
            const Group group = plan.find(i);
            Attention<Word>(a, plan, tiles, group.pair).attend(group);
        }
    });
}

}  // namespace

void block_sparse_attention(const BlockSparseAttention& a, const Threads& threads) {
#if defined(__AVX512BF16__)
    if (a.may_round && a.head_dim % 2 == 0) return attend<TwoBfloat16>(a, threads);
#endif
    attend<OneFloat>(a, threads);
}

}  // namespace pegasus::PEGASUS_SET
