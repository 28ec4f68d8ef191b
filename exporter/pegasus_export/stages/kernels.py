"""The plugin that plans of target trt call: whether it can be had, and its compiled kernels."""

import importlib.util
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from pegasus_export.checkpoint.folder import Checkpoint
from pegasus_export.errors import UnsupportedError
from pegasus_export.request.export import ExportRequest
from pegasus_plugins.compile_kernels import CAPABILITIES, compiler_environment
from pegasus_plugins.kernel_file import KernelFileError, KernelVariant
from pegasus_plugins.specification import NAME, NAMESPACE, VERSION
from pegasus_runtime.bundle import PluginSpec
from pegasus_runtime.native.child_python import child_python

__all__ = ["ChosenPlugin", "KernelCompilation", "choose_plugin"]

_COMPILE = "from pegasus_plugins.compile_kernels import main; sys.exit(main())"
_KERNELS_FILE = "block_sparse_attention.kernels"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenPlugin:
    """What the manifest says of it, and which kernels it needs, for which GPUs."""

    spec: PluginSpec
    variant: KernelVariant
    capabilities: tuple[str, ...]


def choose_plugin(request: ExportRequest, checkpoint: Checkpoint) -> ChosenPlugin | None:
    """None where there is no sparse attention, or plain operators were asked for.

    Raises: UnsupportedError where the plugin is what is asked for, if only by default, and cannot
    be had.
    """
    config, sparse = checkpoint.config, checkpoint.config.block_sparse
    if sparse is None or request.block_sparse == "plain":
        return None
    try:
        variant = KernelVariant(
            dtype="float32" if request.precision == "fp32" else "float16",
            head_dim=config.d_model // config.encoder_attention_heads,
            block_size=sparse.block_size,
            plan_columns=sparse.num_random_blocks if request.random_blocks == "seeded" else 0,
        )
    except KernelFileError as err:
        raise UnsupportedError(f"{err}: use --block-sparse plain") from err
    if importlib.util.find_spec("triton") is None:
        raise UnsupportedError(
            "the plugin's kernels are compiled with Triton, which is not installed: pip install "
            "'pegasus-edge[plugin]' (on Linux), or use --block-sparse plain"
        )
    spec = PluginSpec(operator=f"{NAMESPACE}::{NAME}", version=VERSION, kernels=_KERNELS_FILE)
    capabilities = request.plans.build.compute_capabilities or CAPABILITIES
    return ChosenPlugin(spec=spec, variant=variant, capabilities=capabilities)


class KernelCompilation:
    """Compiles the kernels while the context lasts, in a process of its own."""

    def __init__(self, plugin: ChosenPlugin | None, folder: Path) -> None:
        """folder: of the export, with which what a killed process leaves here is cleared up."""
        self._plugin = plugin
        self._folder = tempfile.TemporaryDirectory(prefix="kernels-", dir=folder)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "KernelCompilation":
        if self._plugin is not None:
            variant = self._plugin.variant
            command = child_python(_COMPILE)
            command += ["--quiet", "--output", str(self._output), "--dtype", variant.dtype]
            command += ["--head-dim", str(variant.head_dim)]
            command += ["--block-size", str(variant.block_size)]
            command += ["--plan-columns", str(variant.plan_columns)]
            command += ["--capability", *self._plugin.capabilities]
            with self._errors.open("wb") as errors:
                self._process = subprocess.Popen(
                    command, stdout=subprocess.DEVNULL, stderr=errors, env=compiler_environment()
                )
        return self

    def write(self, path: Path) -> None:
        """Waits for them, and writes them to a new file. Raises: UnsupportedError, OSError."""
        assert self._process is not None
        if self._process.wait():
            said = self._errors.read_text(errors="replace").strip().splitlines()
            last = said[-1] if said else "it says nothing"
            raise UnsupportedError(
                f"the plugin's kernels cannot be compiled: {last}: use --block-sparse plain"
            )
        with path.open("xb") as file:
            file.write(self._output.read_bytes())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    @property
    def _output(self) -> Path:
        return Path(self._folder.name) / _KERNELS_FILE

    @property
    def _errors(self) -> Path:
        return Path(self._folder.name) / "errors.txt"
