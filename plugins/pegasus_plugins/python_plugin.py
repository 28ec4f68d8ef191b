"""The operator as a Python plugin of TensorRT: an IPluginV3 that launches compiled kernels.

    register_python_plugin(tensorrt, Path("block_sparse.kernels"))

Engines that were built with it need it again when they are loaded. TensorRT turns an exception of a
callback into a failure of its own (`callback_log.py`).

Source: TensorRT's Python API, IPluginV3 (10.0 and later).
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pegasus_plugins.callback_log import logged
from pegasus_plugins.driver import AttentionLauncher, AttentionMemory, AttentionShape
from pegasus_plugins.kernel_file import KernelFile, read_kernel_file
from pegasus_plugins.launch import workspace_limit
from pegasus_plugins.operator_inputs import (
    ATTRIBUTES,
    TENSORRT_DTYPES,
    InputTensor,
    check_inputs,
    input_shape,
    spec_from_attributes,
)
from pegasus_plugins.plugin_error import PluginError
from pegasus_plugins.specification import DTYPES, NAME, NAMESPACE, VERSION, AttentionSpec

__all__ = ["NEEDED_CLASSES", "register_python_plugin"]

_PLUGIN_CLASSES = ("IPluginV3", "IPluginV3OneCore", "IPluginV3OneBuild", "IPluginV3OneRuntime")
NEEDED_CLASSES = (*_PLUGIN_CLASSES, "IPluginCreatorV3One")
"""Of TensorRT's module."""
_LOCK = threading.Lock()
"""Of what a process registers: kernels that two threads add at once are both kept."""
_WORKSPACE_ROWS = "workspace_rows"
"""In an engine, next to the attributes; see `AttentionLauncher.workspace_rows`."""


def register_python_plugin(library: Any, kernels: Path, *, driver: Any = None) -> None:
    """Makes the plugin known to TensorRT, once; more kernels are added to those it has.

    library: the module `tensorrt`. kernels: a kernel file; of two that have the same kernel, the
    one that was registered last. driver: a stand-in for `cuda.bindings.driver`.
    Raises: PluginError if this TensorRT takes no such plugins, or has the operator from somewhere
    else; KernelFileError; OSError.
    """
    missing = [name for name in NEEDED_CLASSES if not hasattr(library, name)]
    if missing:
        raise PluginError(
            f"{library.__name__} lacks {', '.join(missing)}, which Python plugins need: install "
            "TensorRT 10 or later, pip install 'pegasus-edge[trt]'"
        )
    with _LOCK:
        registration = _registration(library)
        registration.add(kernels, driver)
        if registration.creator is None:
            creator = _creator(library, registration)
            if not library.get_plugin_registry().register_creator(creator, NAMESPACE):
                raise PluginError(
                    f"{library.__name__} has a plugin {NAMESPACE}::{NAME} already: choose one way "
                    "to bring it in per process"
                )
            registration.creator = creator


class _Registration:
    """What a TensorRT was given: TensorRT keeps no creator alive, and has no use for a second."""

    def __init__(self) -> None:
        self.creator: Any = None
        self._launcher: AttentionLauncher | None = None
        self._files: dict[Path, KernelFile] = {}

    def add(self, kernels: Path, driver: Any) -> None:
        """Plugins that exist keep the kernels that they were made with."""
        found = read_kernel_file(kernels)
        path = kernels.resolve()
        self._files.pop(path, None)
        self._files[path] = found
        newest_first = list(reversed(self._files.values()))
        images = [image for file in newest_first for image in file.images]
        self._launcher = AttentionLauncher(
            KernelFile(compiler=found.compiler, images=images), driver=driver
        )

    @property
    def launcher(self) -> AttentionLauncher:
        assert self._launcher is not None
        return self._launcher


@functools.cache
def _registration(library: Any) -> _Registration:
    return _Registration()


def _creator(library: Any, registration: _Registration) -> Any:
    plugin_class = _plugin_class(library)

    class BlockSparseAttentionCreator(library.IPluginCreatorV3One):  # type: ignore[misc]
        def __init__(self) -> None:
            library.IPluginCreatorV3One.__init__(self)
            self.name = NAME
            self.plugin_namespace = NAMESPACE
            self.plugin_version = VERSION
            # TensorRT keeps the addresses of these, nothing of Python's.
            self._fields = [_field(library, name, []) for name in ATTRIBUTES]
            self._collection = library.PluginFieldCollection(self._fields)
            self.field_names = self._collection

        @logged
        def create_plugin(self, name: str, fields: Any, phase: Any) -> Any:
            found = {x.name: np.atleast_1d(np.asarray(x.data)).tolist() for x in fields}
            launcher = registration.launcher
            if phase != library.TensorRTPhase.RUNTIME:
                spec = spec_from_attributes(found)
                return plugin_class(spec, launcher, launcher.workspace_rows(spec.block_size))
            rows = found.pop(_WORKSPACE_ROWS, [])
            if len(rows) != 1:
                raise PluginError(f"the engine lacks {_WORKSPACE_ROWS}: build it again")
            return plugin_class(spec_from_attributes(found), launcher, rows[0])

    return BlockSparseAttentionCreator()


class _Plugin:
    """The callbacks. TensorRT's own base classes, of whichever module it is, are mixed in."""

    library: Any
    bases: tuple[Any, ...] = ()

    def __init__(
        self, spec: AttentionSpec, launcher: AttentionLauncher, workspace_rows: int
    ) -> None:
        for base in self.bases:
            base.__init__(self)
        self.plugin_name = NAME
        self.plugin_namespace = NAMESPACE
        self.plugin_version = VERSION
        self.num_outputs = 1
        self._spec = spec
        self._launcher = launcher
        self._workspace_rows = workspace_rows
        self._shape: AttentionShape | None = None
        self._fields: list[Any] = []
        self._collection: Any = None

    def get_capability_interface(self, kind: Any) -> _Plugin:
        return self

    def clone(self) -> _Plugin:
        return type(self)(self._spec, self._launcher, self._workspace_rows)

    def attach_to_context(self, resources: Any) -> _Plugin:
        # Must not raise: TensorRT 10.0 would end the process.
        return self.clone()

    @logged
    def get_fields_to_serialize(self) -> Any:
        # TensorRT reads these after the call, from where they lie. As an IPluginV3's collection is
        # only converted from a list within calls from Python, it is given as what it becomes.
        values = {name: getattr(self._spec, name) for name in ATTRIBUTES}
        values[_WORKSPACE_ROWS] = self._workspace_rows
        self._fields = [_field(self.library, name, [value]) for name, value in values.items()]
        fields = self.library.PluginFieldCollection(self._fields)
        self._collection = self.library.PluginFieldCollection_(fields)
        return self._collection

    @logged
    def get_output_data_types(self, input_types: Sequence[Any]) -> list[Any]:
        return [input_types[0]]

    @logged
    def get_output_shapes(
        self, inputs: Sequence[Any], shape_inputs: Sequence[Any], builder: Any
    ) -> list[Any]:
        return [self.library.DimsExprs(inputs[0])]

    @logged
    def supports_format_combination(
        self, position: int, tensors: Sequence[Any], num_inputs: int
    ) -> bool:
        """Dense tensors: any of the three types for the first, which others share."""
        desc = tensors[position].desc
        if desc.format != self.library.TensorFormat.LINEAR:
            return False
        dtype = _dtype(desc)
        if position == 0:
            return dtype in DTYPES
        is_integer = 3 <= position < num_inputs
        return dtype == ("int32" if is_integer else _dtype(tensors[0].desc))

    @logged
    def configure_plugin(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """Fails for what the kernels do not compute, which ends the build.

        A failure of get_workspace_size would not: it counts as 0 bytes.
        """
        check_inputs(self._spec, [_range_end(x, "min") for x in inputs])
        largest = input_shape(self._spec, [_range_end(x, "max") for x in inputs])
        self._launcher.prepare(largest.variant)

    @logged
    def get_workspace_size(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
        variant = input_shape(self._spec, [_range_end(x, "max") for x in inputs]).variant
        rows = self._workspace_rows
        return workspace_limit(head_dim=variant.head_dim, tile_rows=rows, num_sms=1)

    @logged
    def on_shape_change(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        shape = input_shape(self._spec, [_tensor(x) for x in inputs])
        self._launcher.prepare(shape.variant)
        self._shape = shape

    def set_tactic(self, tactic: int) -> None:
        """There is one."""

    @logged
    def enqueue(
        self,
        input_desc: Sequence[Any],
        output_desc: Sequence[Any],
        inputs: Sequence[int],
        outputs: Sequence[int],
        workspace: int,
        stream: int,
    ) -> None:
        # TensorRT's bindings take the number of inputs from on_shape_change and pass none before
        # (pyPlugin.cpp, PyIPluginV3OneRuntimeImpl): it precedes every enqueue, of fixed shapes too.
        shape = self._shape
        if shape is None:
            raise PluginError("TensorRT enqueued before it gave the shapes of the inputs")
        memory = _memory(inputs, outputs, workspace)
        rows = self._workspace_rows
        self._launcher.launch(self._spec, shape, memory, stream, workspace_rows=rows)


def _plugin_class(library: Any) -> type[_Plugin]:
    """Its bases are TensorRT's, so it cannot be there before TensorRT is."""
    bases = tuple(getattr(library, name) for name in _PLUGIN_CLASSES)
    return type("BlockSparseAttention", (_Plugin, *bases), {"library": library, "bases": bases})


def _field(library: Any, name: str, values: list[float]) -> Any:
    is_float = ATTRIBUTES.get(name) is float
    kind = library.PluginFieldType.FLOAT32 if is_float else library.PluginFieldType.INT32
    return library.PluginField(name, np.array(values, np.float32 if is_float else np.int32), kind)


def _dtype(desc: Any) -> str:
    """Ours, or TensorRT's where there is none."""
    name = str(desc.type.name)
    return TENSORRT_DTYPES.get(name, name)


def _tensor(desc: Any) -> InputTensor:
    return InputTensor(dtype=_dtype(desc), shape=tuple(desc.dims))


def _range_end(dynamic: Any, end: str) -> InputTensor:
    """end: "min" or "max" of a tensor's shapes."""
    return InputTensor(dtype=_dtype(dynamic.desc), shape=tuple(getattr(dynamic, end)))


def _memory(inputs: Sequence[int], outputs: Sequence[int], workspace: int) -> AttentionMemory:
    query, key, value, key_mask, *plan = inputs
    return AttentionMemory(
        query=query,
        key=key,
        value=value,
        key_mask=key_mask,
        plan=plan[0] if plan else 0,
        output=outputs[0],
        workspace=workspace,
    )
