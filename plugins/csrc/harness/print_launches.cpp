// Prints what launch.h plans, for a test that holds it against launch.py. Needs nothing but C++17.
//
// Each line of stdin is num_heads block_size longest_full batch length head_dim tile_rows num_sms
// programs_per_sm,
// each line of stdout the plan as JSON.

#include <iostream>

#include "../launch.h"

int main() {
    pegasus::AttentionSpec spec;
    pegasus::LaunchRequest request;
    while (std::cin >> spec.num_heads >> spec.block_size >> spec.longest_full >> request.batch >>
           request.length >> request.head_dim >> request.tile_rows >> request.num_sms >>
           request.programs_per_sm) {
        const pegasus::Launch launch = pegasus::plan_launch(spec, request);
        const int64_t limit =
            pegasus::workspace_limit(request.head_dim, request.tile_rows * request.num_sms);
        std::cout << "{\"num_programs\": " << launch.num_programs
                  << ", \"num_splits\": " << launch.num_splits
                  << ", \"combine_programs\": " << launch.combine_programs
                  << ", \"workspace_bytes\": " << launch.workspace_bytes
                  << ", \"workspace_limit\": " << limit << "}\n";
    }
    return 0;
}
