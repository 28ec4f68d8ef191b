// What the processor, and the system with it, can do; asked of the processor itself, as the
// __builtin_cpu_supports of zig's clang says no to everything.
#pragma once

namespace pegasus {

struct Processor {
    bool has_avx2;          // with FMA and F16C
    bool has_avx512;        // F, BW, VL, DQ and VNNI
    bool has_bfloat16;      // the same, and products of bfloat16
    bool has_amx_int8;      // tiles of int8, if the system saves them
    bool has_dot_products;  // of ARMv8.2
};

const Processor& processor();

}  // namespace pegasus
