"""The C++ plugin beside the Triton kernels: its harness runs `enqueue` in a process of its own."""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from attention.engines import DenseInputs, MissingEngineError
from pegasus_plugins.specification import AttentionSpec

PLUGIN = "C++ plugin"
TOLERANCE = 2e-3  # of fp16: the plugin's kernels are the same
TIMEOUT_S = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginHarness:
    """drive_plugin, and the library of the plugin."""

    program: Path
    library: Path

    def measure(
        self, spec: AttentionSpec, inputs: DenseInputs, expected: torch.Tensor, *, repeats: int
    ) -> float:
        """Milliseconds of the median call, without emptied caches.

        Raises: MissingEngineError if it fails, or if the output is not ``expected``.
        """
        with tempfile.TemporaryDirectory(prefix="pegasus-harness-") as folder:
            source, result = Path(folder) / "inputs", Path(folder) / "output"
            with source.open("wb") as file:
                for tensor in (inputs.query, inputs.key, inputs.value, inputs.key_mask):
                    file.write(tensor.cpu().contiguous().numpy().tobytes())
            command = [*harness_command(self, spec, inputs.query, repeats=repeats)]
            command += ["--input", str(source), "--output", str(result)]
            try:
                done = subprocess.run(
                    command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
                )
            except (OSError, subprocess.TimeoutExpired) as err:
                raise MissingEngineError(f"{self.program} does not run: {err}") from err
            if done.returncode != 0:
                lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
                raise MissingEngineError(lines[-1])
            values = torch.frombuffer(bytearray(result.read_bytes()), dtype=inputs.query.dtype)
        difference = float((values.view(expected.shape) - expected.cpu()).abs().max())
        if not difference <= TOLERANCE:
            raise MissingEngineError(f"its output differs from the kernel's by {difference:.1e}")
        return float(json.loads(done.stdout.splitlines()[-1])["median_ms"])


def harness_command(
    harness: PluginHarness, spec: AttentionSpec, query: torch.Tensor, *, repeats: int
) -> list[str]:
    """For queries [B, H, S, Dh] of fp16, without a plan."""
    names = ("batch", "heads", "length", "head-dim")
    options: dict[str, object] = dict(zip(names, query.shape, strict=True))
    options |= {"block-size": spec.block_size, "random": spec.num_random_blocks}
    options |= {"longest-full": spec.longest_full, "dtype": "fp16", "plan": 0, "repeats": repeats}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return [str(harness.program), str(harness.library), "enqueue", *words]
