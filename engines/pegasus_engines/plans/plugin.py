"""The plugin that a bundle's plans are built with: which way it comes into TensorRT, on record."""

from dataclasses import replace
from typing import get_args

from pegasus_engines.plans.tensorrt import BuildOptions
from pegasus_plugins.kernel_file import KernelFileError
from pegasus_plugins.plugin_error import PluginError
from pegasus_plugins.ways import PluginParts, find_plugin_library, register_plugin
from pegasus_runtime.bundle import Bundle, PluginSpec, PluginWay, sha256_of_file
from pegasus_runtime.errors import EngineError
from pegasus_runtime.native.tensorrt import Flavour

__all__ = ["bring_plugin"]


def bring_plugin(flavour: Flavour, bundle: Bundle, options: BuildOptions) -> PluginSpec | None:
    """Makes the plugin of a bundle of graphs known to TensorRT; None where they need none.

    Returns what the manifest of the plans says of it. Raises: EngineError.
    """
    manifest = bundle.manifest
    plugin = None if manifest.plans is None else manifest.plans.plugin
    if plugin is None:
        return None
    parts = PluginParts(
        plugin_library=options.plugin_library,
        kernels=bundle.path(plugin.kernels),
        with_plan=manifest.architecture.random_blocks == "seeded",
    )
    asked = next((way for way in get_args(PluginWay) if way == options.plugin_way), None)
    try:
        way = register_plugin(flavour.module, parts, asked)
        library = find_plugin_library(options.plugin_library) if way == "library" else None
    except (PluginError, KernelFileError, OSError) as err:
        raise EngineError(
            f"{err}: or export with --block-sparse plain, which needs no plugin"
        ) from err
    if library is None:
        return replace(plugin, way=way)
    return replace(plugin, way=way, library=library.name, library_sha256=sha256_of_file(library))
