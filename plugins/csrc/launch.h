// How many programs compute an attention, and what they keep in between: plain arithmetic.
//
// The same as `pegasus_plugins/launch.py`, which says why; a test holds the two against each other.
#pragma once

#include <algorithm>
#include <cstdint>

#include "attention_spec.h"

namespace pegasus {

inline constexpr int64_t most_programs_per_sm = 4;
inline constexpr int64_t least_blocks = 8;
inline constexpr int64_t float_bytes = 4;

struct LaunchRequest {
    int64_t batch = 0;      // B
    int64_t length = 0;     // S
    int64_t head_dim = 0;   // Dh
    int64_t tile_rows = 1;  // of queries that a program computes; divides b
    int64_t num_sms = 0;    // multiprocessors of the GPU
    int64_t programs_per_sm = 1;  // how many of them one of those runs at once
};

struct Launch {
    int64_t num_programs = 0;      // of kernel attend_blocks
    int64_t num_splits = 1;        // programs among which the keys of an end's tile are split
    int64_t combine_programs = 0;  // of kernel combine_splits; 0 where nothing is split
    int64_t workspace_bytes = 0;   // 0 where nothing is split
};

constexpr Launch plan_launch(const AttentionSpec& spec, const LaunchRequest& request) noexcept {
    const int64_t num_blocks = spec.num_blocks(request.length);
    const int64_t tiles =
        request.batch * spec.num_heads * (spec.block_size / request.tile_rows);  // of one block
    const bool is_full = spec.is_full(request.length);
    const int64_t num_ends = is_full ? num_blocks : std::min<int64_t>(num_blocks, 2);
    Launch launch;
    if (!is_full) {
        const int64_t most = (num_blocks + least_blocks - 1) / least_blocks;
        const int64_t end_tiles = std::max<int64_t>(1, tiles * num_ends);
        const int64_t at_once =
            request.num_sms * std::min(request.programs_per_sm, most_programs_per_sm);
        const int64_t wanted = at_once / end_tiles;
        launch.num_splits = std::max<int64_t>(1, std::min(wanted, most));
    }
    launch.num_programs = tiles * (num_ends * launch.num_splits + num_blocks - num_ends);
    if (launch.num_splits > 1) {
        const int64_t partial_rows = tiles * num_ends * launch.num_splits * request.tile_rows;
        launch.combine_programs = tiles * num_ends;
        launch.workspace_bytes = partial_rows * (request.head_dim + 2) * float_bytes;
    }
    return launch;
}

// What no shape's workspace_bytes exceed, where num_sms * tile_rows is at most workspace_rows.
constexpr int64_t workspace_limit(int64_t head_dim, int64_t workspace_rows) noexcept {
    return most_programs_per_sm * workspace_rows * (head_dim + 2) * float_bytes;
}

}  // namespace pegasus
