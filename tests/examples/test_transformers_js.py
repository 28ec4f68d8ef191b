"""examples/transformers-js: its pipeline loads an exported folder as it is, and writes our texts.

In Node, where its packages are: `npm install --ignore-scripts` in examples/transformers-js.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from made_once import MadeOnce
from pegasus_export.verify.onnx_engine import OnnxEngine
from pegasus_export.verify.tokens import summarize_sources
from pegasus_runtime import GenerationOptions
from pegasus_runtime.bundle import open_bundle
from pegasus_runtime.search.resolve import resolve_for_manifest
from pegasus_runtime.tokenization.tokenizer import Tokenizer
from wire_reports import HELD_OUT_SEEDS, generate_report

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAM = EXAMPLES / "transformers-js" / "summarize.mjs"
PACKAGE = Path("node_modules") / "@huggingface" / "transformers"
MINI = EXAMPLES / "checkpoints" / "pegasus-mini"


@pytest.fixture(scope="module")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("transformers.js is not tested: there is no node")
    if not any((folder / PACKAGE).is_dir() for folder in (PROGRAM.parent, EXAMPLES)):
        pytest.skip("transformers.js is not tested: npm install in examples/transformers-js")
    return found


@pytest.mark.parametrize(("dtype", "suffix"), [("fp32", ""), ("int8", "_quantized")])
def test_the_pipeline_writes_what_the_same_graphs_do_in_python(
    dtype: str,
    suffix: str,
    node: str,
    made_once: MadeOnce,
    tmp_path: Path,
    pytestconfig: pytest.Config,
) -> None:
    count = pytestconfig.getoption("--client-reports", 0) or 3
    texts = [generate_report(seed).document for seed in HELD_OUT_SEEDS[:count]]
    reports = tmp_path / "reports.jsonl"
    reports.write_text("".join(json.dumps({"document": text}) + "\n" for text in texts))
    result = made_once.export(model=str(MINI), target="onnx", layout="transformers-js")
    bundle = open_bundle(result.bundle.folder)
    command = [node, str(PROGRAM), "--dtype", dtype, str(bundle.folder), str(reports)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=_quiet())
    assert (ran.returncode, ran.stderr) == (0, "")
    spec = bundle.manifest.tokenizer
    assert spec is not None
    tokenizer = Tokenizer.load(bundle.path(spec.file), spec)
    settings = resolve_for_manifest(GenerationOptions(num_beams=1), bundle.manifest)
    sources = [tokenizer.encode(text).token_ids for text in texts]
    engine = OnnxEngine(bundle, suffix=suffix)
    expected = [tokenizer.decode(found) for found in summarize_sources(engine, sources, settings)]
    assert ran.stdout.splitlines() == expected


def test_a_call_without_a_file_says_how_to_call(node: str) -> None:
    ran = subprocess.run(
        [node, str(PROGRAM)], capture_output=True, text=True, check=False, env=_quiet()
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("usage: node summarize.mjs ")


def _quiet() -> dict[str, str]:
    """Nobody's colours, and no request to a hub."""
    return {**os.environ, "NO_COLOR": "1"}
