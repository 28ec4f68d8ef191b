#include "kernel_images.h"

#include <algorithm>
#include <set>
#include <string>
#include <tuple>

#include "plugin_error.h"

namespace pegasus {
namespace {

using Rank = std::tuple<int32_t, int32_t, int32_t>;
constexpr Rank does_not_run{-1, 0, 0};

constexpr bool is_before(Capability left, Capability right) {
    return left.major != right.major ? left.major < right.major : left.minor < right.minor;
}

constexpr bool is_same(Capability left, Capability right) {
    return left.major == right.major && left.minor == right.minor;
}

// A cubin also runs on later GPUs of its major version, unless it is for a Jetson (8.7) or for one
// architecture alone (from 9.0 on).
Rank rank_of(const KernelImage& image, Capability wanted) {
    constexpr Capability jetson{8, 7};
    const Capability has = image.capability;
    if (image.is_ptx) {
        return is_before(wanted, has) ? does_not_run : Rank{0, has.major, has.minor};
    }
    if (is_same(has, wanted)) {
        return {2, has.major, has.minor};
    }
    const bool is_forward = has.major == 8 && wanted.major == 8 && is_before(has, wanted) &&
                            !is_same(has, jetson) && !is_same(wanted, jetson);
    return is_forward ? Rank{1, has.major, has.minor} : does_not_run;
}

bool is_for(const KernelImage& image, std::string_view kernel, const KernelVariant& variant) {
    const KernelVariant& has = image.variant;
    return image.kernel == kernel && has.dtype == variant.dtype &&
           has.head_dim == variant.head_dim && has.block_size == variant.block_size &&
           has.plan_columns == variant.plan_columns;
}

std::string text_of(Capability capability) {
    return std::to_string(capability.major) + "." + std::to_string(capability.minor);
}

[[noreturn]] void throw_missing(const KernelTable& table, std::string_view kernel,
                                const KernelVariant& variant, const std::string& gpu) {
    std::set<std::string> have;
    for (const KernelImage& image : table) {
        if (is_for(image, kernel, variant)) {
            have.insert(text_of(image.capability));
        }
    }
    std::string listed;
    for (const std::string& capability : have) {
        listed += (listed.empty() ? "" : ", ") + capability;
    }
    throw PluginError("no kernel " + std::string(kernel) + " for " + gpu + ", " +
                      std::string(variant.dtype) + ", head dim " +
                      std::to_string(variant.head_dim) + ", blocks of " +
                      std::to_string(variant.block_size) + " and " +
                      std::to_string(variant.plan_columns) + " plan columns (there is one for " +
                      (listed.empty() ? "no GPU" : listed) +
                      "): compile it with python -m pegasus_plugins.compile_kernels, then build "
                      "the library again with -DPEGASUS_KERNELS=file");
}

}  // namespace

const KernelImage* find_image(const KernelTable& table, std::string_view kernel,
                              const KernelVariant& variant, Capability capability) noexcept {
    const KernelImage* best = nullptr;
    Rank best_rank = does_not_run;
    for (const KernelImage& image : table) {
        if (!is_for(image, kernel, variant)) {
            continue;
        }
        const Rank rank = rank_of(image, capability);
        if (rank > best_rank) {
            best = &image;
            best_rank = rank;
        }
    }
    return best;
}

const KernelImage& require_image(const KernelTable& table, std::string_view kernel,
                                 const KernelVariant& variant, Capability capability) {
    const KernelImage* image = find_image(table, kernel, variant, capability);
    if (image == nullptr) {
        throw_missing(table, kernel, variant, "compute capability " + text_of(capability));
    }
    return *image;
}

void require_variant(const KernelTable& table, const KernelVariant& variant) {
    for (const std::string_view kernel : {attend_kernel, combine_kernel}) {
        const bool is_there =
            std::any_of(table.begin(), table.end(), [&](const KernelImage& image) {
                return is_for(image, kernel, variant);
            });
        if (!is_there) {
            throw_missing(table, kernel, variant, "any compute capability");
        }
    }
}

int32_t largest_tile_rows(const KernelTable& table, int32_t block_size) noexcept {
    int32_t largest = 0;
    for (const KernelImage& image : table) {
        if (image.variant.block_size == block_size) {
            largest = std::max(largest, image.tile_rows);
        }
    }
    return largest > 0 ? largest : block_size;
}

}  // namespace pegasus
