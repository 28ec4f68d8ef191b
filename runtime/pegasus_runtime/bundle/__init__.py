"""The contract between exporter and runtime: a folder with a manifest, graphs, weights, tokenizer.

The exporter writes with `write_bundle`, the runtime reads with `open_bundle`; both see the same
`Manifest`. Nothing in a bundle is unpickled or executed here.

- manifest.py       what a manifest says: frozen dataclasses
- manifest_json.py  Manifest -> text and text -> Manifest, checked field by field
- tokenizer_spec.py, tokenizer_json.py  the same of its tokenizer
- json_node.py      a JSON value that knows where it stands, so that errors can say it
- check_sizes.py    a manifest's numbers against its graphs
- folder.py         a bundle on disk, opened and checked
- graph_weights.py, check_graph_weights.py  the files that a graph reads, against the manifest
- graph_metadata.py  what a graph says of its network, against the manifest
- tables.py         a table of its weights, mapped
- held_folder.py, folder_lock.py  a folder that stays the same one while it is read
- staging.py        a bundle in the making: all or nothing
- replace_file.py    a file that is whole at any time
- replace_folder.py, leftovers.py  put in the place of another in one step; what a crash leaves
"""

from pegasus_runtime.bundle.check_graph_weights import check_graph_weights
from pegasus_runtime.bundle.folder import (
    MANIFEST_NAME,
    Bundle,
    open_bundle,
    sha256_of_file,
)
from pegasus_runtime.bundle.graph_metadata import check_graph_metadata, graph_metadata
from pegasus_runtime.bundle.held_folder import read_held
from pegasus_runtime.bundle.manifest import (
    PLAN_TARGETS,
    SCHEMA_VERSION,
    Activation,
    Architecture,
    ClassifierSpec,
    FileRecord,
    GraphSpec,
    JsonValue,
    Limits,
    Manifest,
    PlanSpec,
    PluginSpec,
    PluginWay,
    Profile,
    Source,
    TableSpec,
    Target,
    Task,
    TensorSpec,
    TokenIds,
)
from pegasus_runtime.bundle.manifest_json import dump_manifest, parse_manifest
from pegasus_runtime.bundle.replace_file import replace_file, replacing_file
from pegasus_runtime.bundle.staging import BundleWriter, write_bundle
from pegasus_runtime.bundle.tables import let_go, map_table
from pegasus_runtime.bundle.tokenizer_spec import (
    PUBLISHED_TOKENIZERS,
    AddedToken,
    Prepend,
    TokenizerKind,
    TokenizerSpec,
    WordPieceSpec,
)

__all__ = [
    "MANIFEST_NAME",
    "PLAN_TARGETS",
    "PUBLISHED_TOKENIZERS",
    "SCHEMA_VERSION",
    "Activation",
    "AddedToken",
    "Architecture",
    "Bundle",
    "BundleWriter",
    "ClassifierSpec",
    "FileRecord",
    "GraphSpec",
    "JsonValue",
    "Limits",
    "Manifest",
    "PlanSpec",
    "PluginSpec",
    "PluginWay",
    "Prepend",
    "Profile",
    "Source",
    "TableSpec",
    "Target",
    "Task",
    "TensorSpec",
    "TokenIds",
    "TokenizerKind",
    "TokenizerSpec",
    "WordPieceSpec",
    "check_graph_metadata",
    "check_graph_weights",
    "dump_manifest",
    "graph_metadata",
    "let_go",
    "map_table",
    "open_bundle",
    "parse_manifest",
    "read_held",
    "replace_file",
    "replacing_file",
    "sha256_of_file",
    "write_bundle",
]
