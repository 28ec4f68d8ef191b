"""How much does a precision change the demo checkpoints' summaries, of documents they never saw?

Exports examples/checkpoints/pegasus-mini and bigbird-mini in every precision, summarises held-out
reports with each bundle, and prints the tokens that differ from those of transformers' generate in
fp32 (insertions, deletions and replacements), ROUGE (F1, 0 to 100) and its change, exact summaries,
and facts carried over.

Targets trt and trt-rtx need an NVIDIA GPU for which plans can be built. With --provider cpu they
need none: the ONNX graphs that plans are built of run in ONNX Runtime on the CPU, and every fp16
operator's result is rounded to fp16 (its sums are not: a GPU's tensor cores add up in fp32 too).
Sizes are padded as on a GPU.

    python benchmarks/precision_quality.py --json docs/figures/precision_quality.json
    python benchmarks/precision_quality.py --target trt-rtx --provider cpu    # no GPU needed
    python benchmarks/precision_quality.py --documents 2 --precisions int8    # does it work?
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rouge_score.rouge_scorer import RougeScorer

from harness import bench
from harness.engines import PLAN_MODULES
from harness.gpu import find_gpu
from harness.machine import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "examples"))

from harness.table import Cell, Column, Table
from pegasus_engines.plans.build import BuildRequest
from pegasus_export.errors import ExportError
from pegasus_export.request.export import PlanRequest
from pegasus_export.stages.export import ExportRequest, export_bundle
from pegasus_export.verify.device import open_on_host
from pegasus_export.verify.tokens import Tokens, edit_distance
from pegasus_runtime import PegasusError, Summarizer
from pegasus_runtime.bundle import PUBLISHED_TOKENIZERS, Bundle
from pegasus_runtime.tokenization.tokenizer import Tokenizer
from wire_reports import HELD_OUT_SEEDS, Report, generate_long_report, generate_report

DEMOS: dict[str, Callable[[int], Report]] = {
    "pegasus-mini": generate_report,
    "bigbird-mini": generate_long_report,
}
"""Demo checkpoint -> what writes a report that it was not trained on, of a held-out seed."""
TARGETS = ("ort", *PLAN_MODULES)
PRECISIONS = ("fp32", "fp16", "int8", "int4")
ROUGE_TYPES = ("rouge1", "rouge2", "rougeL")
MAX_DOCUMENTS_TOGETHER = 4
EOS_ID = 1
COLUMNS = (
    Column(title="held-out reports"),
    Column(title="bundle", unit="MB", digits=1),
    *(Column(title=f"ROUGE-{kind}", digits=2) for kind in "12L"),
    *(Column(title=f"ROUGE-{kind}, change", digits=2, signed=True) for kind in "12L"),
    *(Column(title=title, unit="%", digits=1) for title in ("exact", "facts carried")),
    *(Column(title=x) for x in ("reports", "summaries changed", "tokens", "tokens changed")),
    Column(title="of all tokens", unit="%", digits=2),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """One precision of one checkpoint, or transformers; what was not measured is None."""

    name: str
    scores: dict[str, float] | None = None
    """0 to 100: ROUGE, "exact" and "facts"."""
    bundle_bytes: int | None = None
    summaries_changed: int = 0
    tokens_changed: int = 0
    error: str | None = None


def measure_demo(demo: str, setup: argparse.Namespace) -> tuple[list[Quality], int]:
    """transformers first, then every precision; and the number of transformers' tokens."""
    reports = [DEMOS[demo](seed) for seed in HELD_OUT_SEEDS[: setup.documents]]
    folder = REPOSITORY / "examples" / "checkpoints" / demo
    spec = PUBLISHED_TOKENIZERS[json.loads((folder / "config.json").read_text())["model_type"]]
    tokenizer = Tokenizer.load(folder / spec.file, spec, newlines="original")
    sources = [tokenizer.encode(each.document).token_ids for each in reports]
    _say(f"{demo}: {len(reports)} summaries by transformers …")
    expected = summarize_with_transformers(folder, sources)

    def score(found: Sequence[Tokens]) -> dict[str, float]:
        return _score(reports, [tokenizer.decode(tokens) for tokens in found])

    rows = [Quality(name=f"{demo}, transformers fp32", scores=score(expected))]
    for precision in setup.precisions:
        name = f"{demo}, {setup.target} {precision}"
        _say(f"{name}: export, and {len(reports)} summaries …")
        try:
            size, got = summarize_with_bundle(folder, setup, precision, sources)
        except (ExportError, PegasusError) as err:
            rows.append(Quality(name=name, error=str(err)))
            continue
        distances = [edit_distance(*pair) for pair in zip(expected, got, strict=True)]
        row = Quality(
            name=name,
            scores=score(got),
            bundle_bytes=size,
            summaries_changed=sum(distance > 0 for distance in distances),
            tokens_changed=sum(distances),
        )
        rows.append(row)
    return rows, sum(map(len, expected))


def summarize_with_transformers(folder: Path, sources: Sequence[Sequence[int]]) -> list[Tokens]:
    """Of `generate` in fp32 on the CPU, one document at a time, up to and including EOS."""
    import torch
    from transformers import AutoModelForSeq2SeqLM

    model: Any = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32)
    model.train(False)
    encoder = model.get_encoder()
    found: list[Tokens] = []
    for source in sources:
        if hasattr(encoder, "set_attention_type"):
            encoder.set_attention_type("block_sparse")  # after a short document it stays full
        ids = torch.tensor([list(source)])
        with torch.inference_mode():
            output = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids))
        tokens = output[0].tolist()[1:]
        end = tokens.index(EOS_ID) + 1 if EOS_ID in tokens else len(tokens)
        found.append(tuple(tokens[:end]))
    return found


def summarize_with_bundle(
    folder: Path, setup: argparse.Namespace, precision: str, sources: Sequence[Sequence[int]]
) -> tuple[int, list[Tokens]]:
    """The bundle's size, and each source's best hypothesis. Raises: ExportError, PegasusError."""
    on_host = setup.provider == "cpu"
    plans = PlanRequest()
    if setup.target in PLAN_MODULES:
        plans = PlanRequest(
            max_batch=MAX_DOCUMENTS_TOGETHER,
            onnx_only=on_host,
            build=BuildRequest(compute_capabilities=None if on_host else ()),
        )
    reads = setup.target == "trt" and precision == "int8"  # documents, for ranges of activations
    result = export_bundle(
        ExportRequest(
            model=str(folder),
            output=setup.work_dir / f"{folder.name}-{setup.target}-{precision}",
            target=setup.target,
            precision=precision,
            keep_fp32=() if precision == "fp32" else tuple(setup.keep_fp32),
            calibration=folder / "calibration.jsonl" if reads else None,
            plans=plans,
            force=True,
        )
    )
    size = sum(record.bytes for record in result.bundle.manifest.files.values())
    with _open(result.bundle, setup) as summarizer:
        return size, [found[0].token_ids for found in summarizer.generate(sources)]


@contextlib.contextmanager
def _open(bundle: Bundle, setup: argparse.Namespace) -> Iterator[Summarizer]:
    if setup.target == "ort" or setup.provider != "cpu":
        with Summarizer.load(bundle.folder, provider=setup.provider) as summarizer:
            yield summarizer
        return
    spec = bundle.manifest.tokenizer
    assert spec is not None  # of every bundle that summarises
    with open_on_host(bundle) as engine:
        yield Summarizer(bundle, engine, Tokenizer.load(bundle.path(spec.file), spec))


def _score(reports: Sequence[Report], written: Sequence[str]) -> dict[str, float]:
    scorer = RougeScorer(list(ROUGE_TYPES), use_stemmer=False)
    pairs = list(zip(reports, written, strict=True))
    found = [scorer.score(each.summary, text) for each, text in pairs]
    carried = [value in text for each, text in pairs for _, value in each.facts]
    shares = {
        name: sum(float(score[name].fmeasure) for score in found) / len(found)
        for name in ROUGE_TYPES
    }
    shares["exact"] = sum(each.summary == text for each, text in pairs) / len(pairs)
    shares["facts"] = sum(carried) / len(carried)
    return {name: 100 * share for name, share in shares.items()}


def make_table(qualities: Sequence[Quality], documents: int, tokens: int) -> Table:
    """A row for each that was measured; changes are to the first, which is transformers."""
    rows: list[tuple[Cell, ...]] = []
    theirs = qualities[0].scores or {}
    for each in qualities:
        if each.scores is None:
            continue
        scores, is_theirs = each.scores, each is qualities[0]
        size = None if each.bundle_bytes is None else each.bundle_bytes / 1e6
        changes = [None if is_theirs else scores[x] - theirs[x] for x in ROUGE_TYPES]
        counts: tuple[Cell, ...] = (None, tokens, None, None)
        if not is_theirs:
            share = 100 * each.tokens_changed / tokens
            counts = (each.summaries_changed, tokens, each.tokens_changed, share)
        rouge = [scores[name] for name in ROUGE_TYPES]
        quality = (scores["exact"], scores["facts"], documents)
        rows.append((each.name, size, *rouge, *changes, *quality, *counts))
    return Table(columns=COLUMNS, rows=tuple(rows))


def run(argv: Sequence[str] | None) -> None:
    parser = bench.make_parser(__doc__)
    add = parser.add_argument
    add("--target", choices=TARGETS, default="ort", help="default: %(default)s")
    add("--provider", choices=("tensorrt", "cpu"), help="default: cpu for ort, else tensorrt")
    add("--checkpoints", type=bench.names_of(DEMOS), default=tuple(DEMOS), help="default: both")
    add("--precisions", type=bench.names_of(PRECISIONS), help="default: all of the target")
    add("--documents", type=int, default=100, help="held-out reports (default: %(default)s)")
    add("--keep-fp32", action="append", default=[], metavar="PATTERN", help="layers left in fp32")
    arguments = parser.parse_args(argv)
    usual = [x for x in PRECISIONS if x != "fp16" or arguments.target != "ort"]
    arguments.precisions = arguments.precisions or tuple(usual)
    if not 1 <= arguments.documents <= len(HELD_OUT_SEEDS):
        parser.error(f"--documents is {arguments.documents}, expected 1 to {len(HELD_OUT_SEEDS)}")
    if arguments.target == "ort" and arguments.provider == "tensorrt":
        parser.error("--provider tensorrt: bundles of target ort have no plans")
    arguments.provider = arguments.provider or ("cpu" if arguments.target == "ort" else "tensorrt")
    on_gpu = arguments.provider == "tensorrt"
    gpu = find_gpu(otherwise=", or pass --provider cpu") if on_gpu else None
    tables, found = {}, []
    for demo in arguments.checkpoints:
        qualities, tokens = measure_demo(demo, arguments)
        found += qualities
        tables[demo] = make_table(qualities, arguments.documents, tokens)
    missing = {each.name: each.error for each in found if each.error}
    qualities_in_full = [asdict(each) for each in found]
    bench.report(arguments, tables, missing=missing, gpu=gpu, qualities=qualities_in_full)


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(bench.run_script(run))
