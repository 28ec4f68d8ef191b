"""What do the precisions of TensorRT cost the demo checkpoints, beside transformers in fp32?

Exports examples/checkpoints/pegasus-mini and bigbird-mini for trt-rtx or trt in every precision,
summarises held-out reports with each, and prints how many tokens differ from those of
transformers' generate in fp32 (insertions, deletions and replacements), ROUGE (F1, 0 to 100), and
how far it is from that of transformers. Runs on any NVIDIA GPU for which plans can be built.

With --provider cpu no GPU is needed: the ONNX graphs that plans are built of run in ONNX Runtime on
the CPU, and every fp16 operator's result is rounded to fp16 (its sums are not: a GPU's tensor
cores add up in fp32 too). Sizes are padded as on a GPU.

    python benchmarks/gpu/accuracy.py --json accuracy.json
    python benchmarks/gpu/accuracy.py --provider cpu --precisions fp32,fp16
    python benchmarks/gpu/accuracy.py --provider cpu --documents 4    # does the script work?
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "benchmarks"), str(REPOSITORY / "examples")]

from rouge_score.rouge_scorer import RougeScorer

from gpu.gpu_machine import (
    NO_GPU_STATUS,
    TARGET_MODULES,
    Gpu,
    NoGpuError,
    describe_gpu_machine,
    find_gpu,
    installed_targets,
)
from pegasus_engines.plans.build import BuildRequest
from pegasus_export.errors import ExportError
from pegasus_export.request.export import PlanRequest
from pegasus_export.stages.export import ExportRequest, export_bundle
from pegasus_export.verify.device import open_on_host
from pegasus_export.verify.tokens import Tokens, edit_distance
from pegasus_runtime import PegasusError, Summarizer
from pegasus_runtime.bundle import Bundle
from pegasus_runtime.tokenizer import Tokenizer
from ratio_table import Target, Verdict, format_columns, format_verdicts, judge
from wire_reports import HELD_OUT_SEEDS, Report, generate_long_report, generate_report

__all__ = ["Accuracy", "Demo", "Setup", "measure_demo"]

PRECISIONS = ("fp32", "fp16", "int8", "int4")
ROUGE_TYPES = ("rouge1", "rouge2", "rougeL")
MAX_ROUGE_DIFFERENCE = 0.1  # points, of fp16
MAX_DOCUMENTS_TOGETHER = 4
EOS_ID = 1
THEIRS = "transformers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """A demo checkpoint, and the reports that it was not trained on: one for each held-out seed."""

    name: str
    write_report: Callable[[int], Report]

    @property
    def folder(self) -> Path:
        return REPOSITORY / "examples" / "checkpoints" / self.name


DEMOS = {
    demo.name: demo
    for demo in (
        Demo(name="pegasus-mini", write_report=generate_report),
        Demo(name="bigbird-mini", write_report=generate_long_report),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is measured; precisions in order."""

    target: str
    provider: str
    precisions: tuple[str, ...]
    documents: int
    work_dir: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """One precision of one checkpoint; ROUGE is 0 to 100, and None where it was not measured."""

    checkpoint: str
    engine: str
    precision: str
    documents: int
    documents_changed: int = 0
    tokens: int = 0
    """Of transformers' summaries."""
    tokens_changed: int = 0
    rouge: Mapping[str, float] | None = None
    rouge_difference: Mapping[str, float] | None = None
    """To transformers; above 0, this is better."""
    error: str | None = None


def measure_demo(demo: Demo, setup: Setup) -> list[Accuracy]:
    """transformers first, then every precision; one that cannot be measured has an error."""
    reports = [demo.write_report(seed) for seed in HELD_OUT_SEEDS[: setup.documents]]
    tokenizer = Tokenizer.load(demo.folder / "spiece.model", _layout(demo), newlines="original")
    sources = [tokenizer.encode(report.document).token_ids for report in reports]
    _say(f"{demo.name}: {len(reports)} summaries by transformers …")
    expected = summarize_with_transformers(demo.folder, sources)
    theirs = _score(reports, [tokenizer.decode(tokens) for tokens in expected])
    num_tokens = sum(map(len, expected))
    rows = [
        Accuracy(
            checkpoint=demo.name,
            engine=THEIRS,
            precision="fp32",
            documents=len(reports),
            tokens=num_tokens,
            rouge=theirs,
            rouge_difference=dict.fromkeys(ROUGE_TYPES, 0.0),
        )
    ]
    for precision in setup.precisions:
        _say(f"{demo.name}: {precision}: export, and {len(reports)} summaries …")
        try:
            got = summarize_with_bundle(demo, setup, precision, sources)
        except (ExportError, PegasusError) as err:
            rows.append(
                Accuracy(
                    checkpoint=demo.name,
                    engine=setup.target,
                    precision=precision,
                    documents=len(reports),
                    error=str(err),
                )
            )
            continue
        distances = [edit_distance(*pair) for pair in zip(expected, got, strict=True)]
        ours = _score(reports, [tokenizer.decode(tokens) for tokens in got])
        rows.append(
            Accuracy(
                checkpoint=demo.name,
                engine=setup.target,
                precision=precision,
                documents=len(reports),
                documents_changed=sum(distance > 0 for distance in distances),
                tokens=num_tokens,
                tokens_changed=sum(distances),
                rouge=ours,
                rouge_difference={name: ours[name] - theirs[name] for name in ROUGE_TYPES},
            )
        )
    return rows


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
    demo: Demo, setup: Setup, precision: str, sources: Sequence[Sequence[int]]
) -> list[Tokens]:
    """The best hypothesis of each source. Raises: ExportError, PegasusError."""
    on_host = setup.provider == "cpu"
    needs_documents = setup.target == "trt" and precision == "int8"  # for ranges of activations
    result = export_bundle(
        ExportRequest(
            model=str(demo.folder),
            output=setup.work_dir / f"{demo.name}-{setup.target}-{precision}",
            target=setup.target,
            precision=precision,
            calibration=demo.folder / "calibration.jsonl" if needs_documents else None,
            plans=PlanRequest(
                max_batch=MAX_DOCUMENTS_TOGETHER,
                onnx_only=on_host,
                build=BuildRequest(compute_capabilities=None if on_host else ()),
            ),
            force=True,
        )
    )
    with _open(result.bundle, setup.provider) as summarizer:
        return [found[0].token_ids for found in summarizer.generate(sources)]


@contextlib.contextmanager
def _open(bundle: Bundle, provider: str) -> Iterator[Summarizer]:
    if provider != "cpu":
        with Summarizer.load(bundle.folder, provider=provider) as summarizer:
            yield summarizer
        return
    spec = bundle.manifest.tokenizer
    assert spec is not None  # of every bundle that summarises
    with open_on_host(bundle) as engine:
        yield Summarizer(bundle, engine, Tokenizer.load(bundle.path(spec.file), spec.layout))


def _layout(demo: Demo) -> Any:
    """Tokenizers' layouts are named after the model types."""
    return json.loads((demo.folder / "config.json").read_text())["model_type"]


def _score(reports: Sequence[Report], written: Sequence[str]) -> dict[str, float]:
    scorer = RougeScorer(list(ROUGE_TYPES), use_stemmer=False)
    scores = [
        scorer.score(report.summary, text) for report, text in zip(reports, written, strict=True)
    ]
    return {
        name: 100 * sum(float(score[name].fmeasure) for score in scores) / len(scores)
        for name in ROUGE_TYPES
    }


def format_table(rows: Sequence[Accuracy]) -> str:
    """A row for each checkpoint and precision; reasons below."""
    titles = ("ROUGE-1", "ROUGE-2", "ROUGE-L")
    header = ("", "documents", "changed", "tokens", "changed", *titles, "differences", "", "")
    lines: list[tuple[str, ...]] = [header]
    for row in rows:
        name = f"{row.checkpoint}, {row.engine} {row.precision}"
        if row.rouge is None or row.rouge_difference is None:
            lines.append((name, str(row.documents), "not measured", *[""] * (len(header) - 3)))
            continue
        lines.append(
            (
                name,
                str(row.documents),
                str(row.documents_changed),
                str(row.tokens),
                str(row.tokens_changed),
                *(f"{row.rouge[kind]:.2f}" for kind in ROUGE_TYPES),
                *(f"{row.rouge_difference[kind]:+.2f}" for kind in ROUGE_TYPES),
            )
        )
    reasons = [
        f"{row.checkpoint}, {row.engine} {row.precision} was not measured: {row.error}"
        for row in rows
        if row.error
    ]
    return "\n".join([format_columns(lines), *reasons])


def judge_rows(rows: Sequence[Accuracy]) -> list[Verdict]:
    """fp32 has transformers' tokens, and fp16 its ROUGE."""
    targets, figures = [], {}
    for row in rows:
        if row.engine == THEIRS or row.rouge_difference is None:
            continue
        if row.precision == "fp32":
            name, limit, unit = f"{row.checkpoint} fp32: tokens changed", 0.0, "tokens"
            figures[name] = float(row.tokens_changed)
        elif row.precision == "fp16":
            name, unit = f"{row.checkpoint} fp16: largest ROUGE difference", "points"
            limit = MAX_ROUGE_DIFFERENCE
            figures[name] = max(map(abs, row.rouge_difference.values()))
        else:
            continue
        targets.append(Target(name=name, limit=limit, unit=unit, at_most=True))
    return judge(targets, figures)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    summary, details = (__doc__ or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--provider", choices=("tensorrt", "cpu"), default="tensorrt", help="default: %(default)s")
    add(
        "--target",
        choices=tuple(TARGET_MODULES),
        help="default: the one whose TensorRT is installed, trt-rtx where both or none are",
    )
    add("--checkpoints", default=",".join(DEMOS), help="default: %(default)s")
    add("--precisions", default=",".join(PRECISIONS), help="default: %(default)s")
    add("--documents", type=int, default=100, help="held-out reports (default: %(default)s)")
    add("--work-dir", type=Path, default=REPOSITORY / "build" / "benchmarks" / "gpu")
    add("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    arguments = parser.parse_args(argv)
    for option, known in (("checkpoints", tuple(DEMOS)), ("precisions", PRECISIONS)):
        names = tuple(dict.fromkeys(getattr(arguments, option).split(",")))
        unknown = set(names) - set(known)
        if unknown:
            parser.error(f"--{option}: {min(unknown)!r} is none of {', '.join(known)}")
        setattr(arguments, option, names)
    if not 1 <= arguments.documents <= len(HELD_OUT_SEEDS):
        parser.error(f"--documents is {arguments.documents}, expected 1 to {len(HELD_OUT_SEEDS)}")
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse_arguments(argv)
    gpu: Gpu | None = None
    if arguments.provider != "cpu":
        try:
            gpu = find_gpu()
        except NoGpuError as err:
            print(f"error: {err}, or pass --provider cpu", file=sys.stderr)
            return NO_GPU_STATUS
        print(gpu)
    setup = Setup(
        target=arguments.target or next(iter(installed_targets()), "trt-rtx"),
        provider=arguments.provider,
        precisions=arguments.precisions,
        documents=arguments.documents,
        work_dir=arguments.work_dir,
    )
    rows = [row for name in arguments.checkpoints for row in measure_demo(DEMOS[name], setup)]
    verdicts = judge_rows(rows)
    print(format_table(rows), format_verdicts(verdicts), sep="\n\n")
    if arguments.json:
        report = {
            "machine": describe_gpu_machine(REPOSITORY, gpu),
            "target": setup.target,
            "provider": setup.provider,
            "rows": [asdict(row) for row in rows],
            "targets": [asdict(verdict) for verdict in verdicts],
        }
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return int(any(row.error for row in rows) or any(x.met is False for x in verdicts))


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
