// Attention of tiles of queries of one head to any of its keys, a chunk of them at a time, with a
// softmax that is kept up to date as keys come.
// Source: Milakov and Gimelshein 2018 (arXiv:1805.02867); Dao et al. 2022 (arXiv:2205.14135).
//
// Rows of one head lie as far apart as the model is wide, each in a page of its own, and push each
// other out of a cache: so a chunk is copied once for all the tiles that see it, having been
// fetched while the chunk before it was attended to.
#pragma once

#include "products.h"

namespace pegasus::PEGASUS_SET {

inline constexpr std::size_t kMostTiles = 4;  // what they have stays in the second cache

// Word: of keys and values as they are multiplied; of two numbers, head_dim is even.
template <class Word>
class QueryTiles {
  public:
    static std::size_t count_floats(std::size_t head_dim) {
        QueryTiles tiles(nullptr, head_dim);
        return tiles.taken_;
    }

    // memory: count_floats(head_dim) of them, aligned to 64 bytes.
    QueryTiles(float* memory, std::size_t head_dim)
        : head_dim_(head_dim), value_dim_(divide_up(head_dim, kTileRows) * kTileRows) {
        const auto take = [&](std::size_t count) {
            float* part = memory ? memory + taken_ : nullptr;
            taken_ += divide_up(count, 16) * 16;
            return part;
        };
        for (Tile& tile : tiles_) {
            tile.queries = take(kTileQueries * head_dim);
            tile.attended = take(kTileQueries * value_dim_);
            tile.largest = take(kTileQueries);
            tile.sums = take(kTileQueries);
        }
        keys_ = take(kChunk * head_dim);
        values_ = take(kChunk * value_dim_);
        scores_ = take(kChunk * kPanel);
        bias_ = take(kChunk);
        kept_ = take(kPanel);
        if (memory) std::memset(values_, 0, kChunk * value_dim_ * sizeof(float));
    }

    // Rows that lie `stride` floats apart.
    template <class T>
    struct Rows {
        T* first;
        std::size_t stride;

        T* operator[](std::size_t i) const { return first + i * stride; }
    };

    // One more tile of count <= kTileQueries rows.
    void add(Rows<const float> query, Rows<float> output, std::size_t count, float scale) {
        Tile& tile = tiles_[count_++];
        tile.output = output;
        tile.count = count;
        for (std::size_t q = 0; q < count; ++q) fetch_row<0>(query[q]);
        const std::size_t floats = kTileQueries * head_dim_;
        if (count < kTileQueries) std::memset(tile.queries, 0, floats * sizeof(float));
        for (std::size_t q = 0; q < count; q += kPanel) {
            transpose(query[q], query.stride, smaller(kPanel, count - q), head_dim_,
                      tile.queries + q * head_dim_, kPanel);
        }
        const Floats factor = Floats::fill(scale);
        for (std::size_t i = 0; i < floats; i += Floats::kWidth) {
            (factor * Floats::load(tile.queries + i)).store(tile.queries + i);
        }
        for (std::size_t q = 0; q < count; q += kPanel) {
            Word::make_words(tile.queries + q * head_dim_, head_dim_, kPanel);
        }
        std::memset(tile.attended, 0, kTileQueries * value_dim_ * sizeof(float));
        for (std::size_t q = 0; q < kTileQueries; ++q) {
            tile.largest[q] = kLowest;
            tile.sums[q] = 0.0f;
        }
    }

    // Of all tiles, those from `first` and before `end` see the keys that follow. A chunk ends here
    // whoever sees the next, lest how a tile's weights are rounded depends on the tiles beside it,
    // and so on how many documents and threads there are.
    void show_to(std::size_t first, std::size_t end) {
        if (listed_ > 0) advance();
        listed_for_ = {first, end};
    }

    // One more key and value, with what is added to its scores.
    void see(const float* key, const float* value, float bias) {
        list_[listed_] = {key, value, bias};
        if (++listed_ == kChunk) advance();
    }

    // Writes what the queries have attended to, and is ready for others.
    void finish() {
        advance();
        advance();
        for (std::size_t i = 0; i < count_; ++i) write(tiles_[i]);
        count_ = 0;
    }

  private:
    static constexpr float kLowest = -3.40282347e38f;

    struct Tile {
        Rows<float> output;
        std::size_t count;
        float* queries;   // [panels, Dh, kPanel], scaled
        float* attended;  // [panels, value_dim_, kPanel]
        float* largest;   // [panels, kPanel] of scores, as are sums of weights
        float* sums;
    };

    struct Row {
        const float* key;
        const float* value;
        float bias;
    };

    struct Audience {
        std::size_t first, end;
    };

    // Attends to the keys that have been copied, and copies those listed.
    void advance() {
        if (copied_ > 0) attend();
        for (std::size_t k = 0; k < listed_; ++k) {
            copy_key(list_[k].key, keys_ + k * head_dim_);
            copy(list_[k].value, values_ + k * value_dim_);
            bias_[k] = list_[k].bias;
        }
        for (std::size_t k = listed_; k % kTileRows != 0; ++k) {  // these score nothing
            std::memset(keys_ + k * head_dim_, 0, head_dim_ * sizeof(float));
            bias_[k] = kLowest;
        }
        Word::make_words(values_, listed_, value_dim_);
        copied_ = listed_;
        copied_for_ = listed_for_;
        listed_ = 0;
    }

    void copy_key(const float* from, float* to) const {
        if constexpr (Word::kNumbers == 1) return copy(from, to);
        auto* halves = reinterpret_cast<Half*>(to);
        std::size_t d = 0;
        for (; d + Floats::kWidth <= head_dim_; d += Floats::kWidth) {
            Floats::load(from + d).store(halves + d);
        }
        if (const std::size_t rest = head_dim_ - d; rest != 0) {
            Half last[Floats::kWidth];
            Floats::load_some(from + d, rest).store(last);
            std::memcpy(halves + d, last, rest * sizeof(Half));
        }
    }

    void copy(const float* from, float* to) const {
        std::size_t d = 0;
        for (; d + Floats::kWidth <= head_dim_; d += Floats::kWidth) {
            Floats::load(from + d).store(to + d);
        }
        for (; d < head_dim_; ++d) to[d] = from[d];
    }

    void attend() {
        fetched_ = 0;
        for (std::size_t i = copied_for_.first; i < copied_for_.end; ++i) {
            const Tile& tile = tiles_[i];
            for (std::size_t q = 0; q < tile.count; q += kPanel) {
                switch (divide_up(smaller(tile.count - q, kPanel), Floats::kWidth)) {
                    case 1: attend_panel<1>(tile, q); break;
                    case 2: attend_panel<2>(tile, q); break;
                    case 3: attend_panel<smaller<std::size_t>(3, kPanelVectors)>(tile, q); break;
                    default: attend_panel<kPanelVectors>(tile, q);
                }
            }
        }
    }

    template <std::size_t kVectors>
    void attend_panel(const Tile& tile, std::size_t first) {
        Floats before[kVectors];
        for (std::size_t v = 0; v < kVectors; ++v) {
            before[v] = Floats::load(tile.largest + first + v * Floats::kWidth);
        }
        for (std::size_t k = 0; k < copied_; k += kTileRows) {
            fetch();
            multiply_keys<kVectors, Word>(keys_ + k * head_dim_, head_dim_,
                                          head_dim_ / Word::kNumbers, bias_ + k,
                                          tile.queries + first * head_dim_, scores_ + k * kPanel,
                                          tile.largest + first);
        }
        weigh<kVectors>(before, tile.largest + first, tile.sums + first);
        Word::make_words(scores_, copied_, kPanel);
        const std::size_t words = divide_up(copied_, Word::kNumbers);
        for (std::size_t d = 0; d < head_dim_; d += kTileRows) {
            multiply_values<kVectors, Word>(values_ + d, value_dim_, words, scores_, kept_,
                                            tile.attended + first * value_dim_ + d * kPanel);
        }
    }

    // A few of the rows that come next: keys and values, or what is written at the end.
    void fetch() {
        const std::size_t all = listed_ > 0 ? listed_ : count_ * kTileQueries;
        const std::size_t end = smaller(fetched_ + kTileRows, all);
        for (; fetched_ < end; ++fetched_) {
            if (listed_ > 0) {
                fetch_row<0>(list_[fetched_].key);
                fetch_row<0>(list_[fetched_].value);
                continue;
            }
            const Tile& tile = tiles_[fetched_ / kTileQueries];
            const std::size_t q = fetched_ % kTileQueries;
            if (q < tile.count) fetch_row<1>(tile.output[q]);
        }
    }

    template <int kToWrite>
    void fetch_row(const float* row) const {
        constexpr std::size_t kLine = 64 / sizeof(float);
        for (std::size_t d = 0; d < head_dim_; d += kLine) __builtin_prefetch(row + d, kToWrite, 2);
    }

    // Scores become weights, and sums grow by theirs; kept_ is what is left of earlier weights.
    template <std::size_t kVectors>
    void weigh(const Floats* before, const float* largest, float* sums) {
        const Floats log2_e = Floats::fill(1.44269504088896341f);
        Floats most[kVectors], sum[kVectors];
        for (std::size_t v = 0; v < kVectors; ++v) {
            most[v] = Floats::load(largest + v * Floats::kWidth);
            sum[v] = Floats::zero();
        }
        for (std::size_t k = 0; k < copied_; ++k) {
            for (std::size_t v = 0; v < kVectors; ++v) {
                float* score = scores_ + k * kPanel + v * Floats::kWidth;
                const Floats weight = power_of_two((Floats::load(score) - most[v]) * log2_e);
                weight.store(score);
                sum[v] = sum[v] + weight;
            }
        }
        for (std::size_t v = 0; v < kVectors; ++v) {
            float* at = sums + v * Floats::kWidth;
            const Floats kept = power_of_two((before[v] - most[v]) * log2_e);
            kept.store(kept_ + v * Floats::kWidth);
            fused(kept, Floats::load(at), sum[v]).store(at);
        }
    }

    void write(const Tile& tile) const {
        for (std::size_t q = 0; q < tile.count; q += kPanel) {
            float* attended = tile.attended + q * value_dim_;
            for (std::size_t v = 0; v < kPanel; v += Floats::kWidth) {
                const Floats share = Floats::fill(1.0f) / Floats::load(tile.sums + q + v);
                for (std::size_t d = 0; d < head_dim_; ++d) {
                    float* at = attended + d * kPanel + v;
                    (share * Floats::load(at)).store(at);
                }
            }
            transpose(attended, kPanel, head_dim_, smaller(kPanel, tile.count - q),
                      tile.output[q], tile.output.stride);
        }
    }

    std::size_t head_dim_, value_dim_;
    std::size_t taken_ = 0;
    Tile tiles_[kMostTiles];
    std::size_t count_ = 0;
    Row list_[kChunk];
    std::size_t listed_ = 0, copied_ = 0, fetched_ = 0;
    Audience listed_for_{}, copied_for_{};
    float* keys_;    // [kChunk, Dh], each row's words at its beginning
    float* values_;  // [kChunk, value_dim_], or words of so many rows
    float* scores_;  // [kChunk, kPanel]; weights are words, too
    float* bias_;    // [kChunk]
    float* kept_;    // [kPanel]
};

}  // namespace pegasus::PEGASUS_SET
