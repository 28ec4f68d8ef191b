// Prints which image kernel_images.cpp chooses, for a test that holds it against KernelFile.find.
// Needs nothing but C++17.
//
// Lines of stdin: `image MAJOR MINOR cubin|ptx` adds an image; `find MAJOR MINOR` asks for one, and
// prints its number in the order of the images or the error; `clear` forgets all images.

#include <iostream>
#include <string>
#include <vector>

#include "../kernel_images.h"
#include "../plugin_error.h"

int main() {
    const pegasus::KernelVariant variant{"float16", 64, 64, 0};
    std::vector<pegasus::KernelImage> images;
    std::string what;
    while (std::cin >> what) {
        if (what == "clear") {
            images.clear();
            continue;
        }
        pegasus::Capability capability;
        std::cin >> capability.major >> capability.minor;
        if (what == "image") {
            std::string kind;
            std::cin >> kind;
            images.push_back({pegasus::attend_kernel, variant, capability, kind == "ptx", 64, 4, 0,
                              0, 1, nullptr});
            continue;
        }
        const pegasus::KernelTable table{images.data(), images.size()};
        try {
            const pegasus::KernelImage& image =
                pegasus::require_image(table, pegasus::attend_kernel, variant, capability);
            std::cout << &image - images.data() << "\n";
        } catch (const pegasus::PluginError& error) {
            std::cout << error.what() << "\n";
        }
    }
    return 0;
}
