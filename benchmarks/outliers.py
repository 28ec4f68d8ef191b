"""What do large activations do to int8 and int4, alone and in batches, beside CTranslate2?

Makes checkpoints of examples/checkpoints/pegasus-mini and bigbird-mini that compute the same
function with outliers of a factor (see harness/outlier_checkpoint.py): in neurons of ReLU, or for
bigbird-mini in channels of LayerNorms and of values. Each is exported, and summarises held-out
reports one at a time and in batches; a summary counts as equal if its tokens are those of the
unchanged checkpoint in fp32. ROUGE-L (F1, 0 to 100) is against those summaries, too.

A second table says what equalisation alone changes in fp32, in --equalised reports: it should be
nothing, neither tokens nor a bit of their scores.

It takes half an hour with 200 and 500 reports.

    python benchmarks/outliers.py --json docs/figures/outliers.json
    python benchmarks/outliers.py --checkpoints pegasus-mini --documents 20 --factors 1,1000
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rouge_score.rouge_scorer import RougeScorer

from harness import bench
from harness.ctranslate2_from_checkpoint import convert_checkpoint
from harness.equalised_checkpoint import write_equalised_checkpoint
from harness.outlier_checkpoint import Where, write_outlier_checkpoint
from harness.table import Cell, Table, columns_of
from pegasus_export.errors import ExportError
from pegasus_export.stages.export import ExportRequest, export_bundle
from pegasus_export.verify.tokens import Tokens, edit_distance
from pegasus_runtime import PegasusError, Summarizer
from pegasus_runtime.bundle import PUBLISHED_TOKENIZERS
from pegasus_runtime.tokenization.tokenizer import Tokenizer
from precision_quality import DEMOS, HELD_OUT_SEEDS, REPOSITORY

WHERE: dict[str, Where] = {"pegasus-mini": "neurons", "bigbird-mini": "channels"}
FACTORS = (1, 30, 100, 300, 1000, 3000)
PRECISIONS = ("int8", "int4")
BATCH = 8
LOOKED_AT = 8
"""Documents on which neurons that fire seldom are looked for; they are not summarised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Of one checkpoint in one precision, or of the peer."""

    name: str
    factor: int
    documents: int
    decoder_error: float | None = None
    """As the export measured it."""
    alone: float | None = None
    """Of the summaries, those that are equal; in percent, as all shares here."""
    batched: float | None = None
    same: float | None = None
    """Alone as in a batch."""
    alone_rouge: float | None = None
    batched_rouge: float | None = None
    tokens_changed: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Equalised:
    """What equalisation alone made of a checkpoint in fp32."""

    name: str
    factor: int
    channels: int
    """That have a factor."""
    largest_bits: int
    documents: int
    tokens: int
    """Of documents, those whose tokens are others."""
    scores: int
    """Of documents, those whose scores have other bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """A checkpoint, what is summarised, and its summaries in fp32."""

    folder: Path
    tokenizer: Tokenizer
    looked_at: Sequence[Sequence[int]]
    more: Sequence[Sequence[int]]
    """Summarised before and after equalisation."""
    sources: Sequence[Sequence[int]]
    expected: Sequence[Tokens]


def prepare_demo(name: str, arguments: argparse.Namespace) -> Demo:
    folder = REPOSITORY / "examples" / "checkpoints" / name
    spec = PUBLISHED_TOKENIZERS[json.loads((folder / "config.json").read_text())["model_type"]]
    tokenizer = Tokenizer.load(folder / spec.file, spec, newlines="original")
    seeds = HELD_OUT_SEEDS[: LOOKED_AT + max(arguments.documents, arguments.equalised)]
    sources = [tokenizer.encode(DEMOS[name](seed).document).token_ids for seed in seeds]
    last = LOOKED_AT + arguments.documents
    exported = arguments.work_dir / f"outliers-{name}-fp32"
    export_bundle(ExportRequest(model=str(folder), output=exported, force=True))
    with Summarizer.load(exported) as summarizer:
        expected = [each[0].token_ids for each in summarizer.generate(sources[LOOKED_AT:last])]
    return Demo(
        folder=folder,
        tokenizer=tokenizer,
        looked_at=sources[:LOOKED_AT],
        sources=sources[LOOKED_AT:last],
        more=sources[LOOKED_AT : LOOKED_AT + arguments.equalised],
        expected=expected,
    )


def measure(demo: Demo, factor: int, arguments: argparse.Namespace) -> list[Outcome]:
    """Every precision of the checkpoint with outliers of this factor."""
    name = demo.folder.name
    checkpoint = arguments.work_dir / f"outliers-{name}-x"
    write_outlier_checkpoint(
        demo.folder,
        checkpoint,
        factor=factor,
        where=WHERE[name],
        documents=demo.looked_at,
    )
    found = []
    for precision in arguments.precisions:
        print(f"{name}, factor {factor}, {precision} …", file=sys.stderr, flush=True)
        request = ExportRequest(
            model=str(checkpoint),
            output=arguments.work_dir / f"outliers-{name}-{precision}",
            precision=precision,
            force=True,
        )
        start = Outcome(name=f"{name} {precision}", factor=factor, documents=len(demo.sources))
        try:
            found.append(_summarise(start, request, demo))
        except (ExportError, PegasusError) as err:
            found.append(Outcome(**asdict(start) | {"error": str(err)}))
            print(f"error: {err}", file=sys.stderr)
    if name == "pegasus-mini" and not arguments.skip_ctranslate2:
        found.append(_summarise_with_ctranslate2(checkpoint, demo, factor, arguments))
    return found


def _summarise(start: Outcome, request: ExportRequest, demo: Demo) -> Outcome:
    result = export_bundle(request)
    errors = [each.error for each in result.measured if each.graph.startswith("decoder")]
    with Summarizer.load(request.output) as summarizer:
        alone = [summarizer.generate([source])[0][0].token_ids for source in demo.sources]
        batched = [
            each[0].token_ids
            for first in range(0, len(demo.sources), BATCH)
            for each in summarizer.generate(demo.sources[first : first + BATCH])
        ]
    return _compare(start, demo, alone, batched, max(errors))


def compare_equalised(demo: Demo, factor: int, arguments: argparse.Namespace) -> Equalised:
    """The checkpoint with outliers of this factor, as it was written last, with and without."""
    name = demo.folder.name
    print(f"{name}, factor {factor}, equalised …", file=sys.stderr, flush=True)
    plain = arguments.work_dir / f"outliers-{name}-x"
    changed = arguments.work_dir / f"outliers-{name}-equalised"
    equalisation = write_equalised_checkpoint(plain, changed, demo.looked_at)
    found = []
    for checkpoint in (plain, changed):
        bundle = arguments.work_dir / f"outliers-{name}-compared"
        export_bundle(ExportRequest(model=str(checkpoint), output=bundle, force=True))
        with Summarizer.load(bundle) as summarizer:
            found.append([each[0] for each in summarizer.generate(demo.more)])
    pairs = list(zip(*found, strict=True))
    return Equalised(
        name=name,
        factor=factor,
        channels=equalisation.channels,
        largest_bits=equalisation.largest_bits,
        documents=len(pairs),
        tokens=sum(one.token_ids != other.token_ids for one, other in pairs),
        scores=sum(one.score != other.score for one, other in pairs),
    )


def _compare(
    start: Outcome,
    demo: Demo,
    alone: Sequence[Tokens],
    batched: Sequence[Tokens] | None,
    error: float | None,
) -> Outcome:
    def share(one: Sequence[Tokens], other: Sequence[Tokens]) -> float:
        return 100 * sum(map(tuple.__eq__, map(tuple, one), map(tuple, other))) / len(one)

    distances = [edit_distance(*pair) for pair in zip(demo.expected, alone, strict=True)]
    fields = asdict(start) | {
        "decoder_error": error,
        "alone": share(alone, demo.expected),
        "alone_rouge": _rouge(demo, alone),
        "tokens_changed": 100 * sum(distances) / sum(map(len, demo.expected)),
    }
    if batched is not None:
        fields |= {
            "batched": share(batched, demo.expected),
            "batched_rouge": _rouge(demo, batched),
            "same": share(alone, batched),
        }
    return Outcome(**fields)


def _rouge(demo: Demo, found: Sequence[Tokens]) -> float:
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    pairs = zip(demo.expected, found, strict=True)
    scores = [scorer.score(*map(demo.tokenizer.decode, pair))["rougeL"].fmeasure for pair in pairs]
    return 100 * sum(scores) / len(scores)


def _summarise_with_ctranslate2(
    checkpoint: Path, demo: Demo, factor: int, arguments: argparse.Namespace
) -> Outcome:
    import ctranslate2

    print(f"{demo.folder.name}, factor {factor}, CTranslate2 …", file=sys.stderr, flush=True)
    output = arguments.work_dir / "outliers-ctranslate2"
    convert_checkpoint(checkpoint, output, quantization="int8")
    translator = ctranslate2.Translator(str(output), compute_type="int8", intra_threads=2)
    tokens = json.loads((output / "shared_vocabulary.json").read_text())
    ids = {token: number for number, token in enumerate(tokens)}
    generation = json.loads((demo.folder / "generation_config.json").read_text())
    options = {
        "beam_size": generation["num_beams"],
        "length_penalty": generation["length_penalty"],
        "max_decoding_length": generation["max_length"] - 1,
    }

    def generate(sources: Sequence[Sequence[int]]) -> list[Tokens]:
        given = [[tokens[token_id] for token_id in source] for source in sources]
        found = translator.translate_batch(given, **options)
        end = generation["eos_token_id"]
        return [(*(ids[token] for token in each.hypotheses[0]), end) for each in found]

    alone = [generate([source])[0] for source in demo.sources]
    batched = [
        each
        for first in range(0, len(demo.sources), BATCH)
        for each in generate(demo.sources[first : first + BATCH])
    ]
    start = Outcome(
        name=f"{demo.folder.name} CTranslate2 int8", factor=factor, documents=len(demo.sources)
    )
    return _compare(start, demo, alone, batched, None)


def make_table(outcomes: Sequence[Outcome]) -> Table:
    columns = columns_of(
        *("checkpoint and precision", "factor", "reports", "alone|%|1", "in batches|%|1"),
        *("batch = alone|%|1", "ROUGE-L alone||2", "ROUGE-L in batches||2"),
        *("tokens changed|%|2", "decoder's error||3"),
    )
    rows: list[tuple[Cell, ...]] = []
    for each in outcomes:
        shares = (each.alone, each.batched, each.same)
        rouge = (each.alone_rouge, each.batched_rouge, each.tokens_changed)
        rows.append((each.name, each.factor, each.documents, *shares, *rouge, each.decoder_error))
    return Table(columns=columns, rows=tuple(rows))


def make_equalised_table(found: Sequence[Equalised]) -> Table:
    columns = columns_of(
        *("fp32 checkpoint", "factor", "reports", "channels with a factor", "largest, as 2^"),
        *("other tokens", "other scores"),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            *(each.name, each.factor, each.documents, each.channels, each.largest_bits),
            *(each.tokens, each.scores),
        )
        for each in found
    ]
    return Table(columns=columns, rows=tuple(rows))


def run(argv: Sequence[str] | None) -> None:
    parser = bench.make_parser(__doc__)
    add = parser.add_argument
    add("--checkpoints", type=bench.names_of(WHERE), default=tuple(WHERE), help="default: both")
    add("--precisions", type=bench.names_of(PRECISIONS), default=PRECISIONS, help="default: both")
    add("--factors", type=_factors, default=FACTORS, help=f"default: {','.join(map(str, FACTORS))}")
    add("--documents", type=int, default=200, help="held-out reports (default: %(default)s)")
    add(
        "--equalised", type=int, default=500, help="reports in fp32 (default: %(default)s; 0: none)"
    )
    add("--skip-ctranslate2", action="store_true", help="measure only our bundles")
    arguments = parser.parse_args(argv)
    arguments.work_dir.mkdir(parents=True, exist_ok=True)
    outcomes, equalised = [], []
    for name in arguments.checkpoints:
        demo = prepare_demo(name, arguments)
        for factor in arguments.factors:
            outcomes += measure(demo, factor, arguments)
            if arguments.equalised:
                equalised.append(compare_equalised(demo, factor, arguments))
    missing = {f"{each.name}, {each.factor}": each.error for each in outcomes if each.error}
    tables = {"outliers": make_table(outcomes), "equalised": make_equalised_table(equalised)}
    bench.report(
        arguments,
        tables if equalised else {"outliers": tables["outliers"]},
        missing=missing,
        outcomes=[asdict(each) for each in outcomes],
    )


def _factors(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in text.split(","))


if __name__ == "__main__":
    sys.exit(bench.run_script(run))
