"""What a lower precision changes in the tokens that are generated."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pegasus_export.errors import CalibrationError
from pegasus_export.measure.documents import CalibrationDocument
from pegasus_runtime.decoding.protocol import Engine
from pegasus_runtime.generation.loop import generate
from pegasus_runtime.search.settings import SearchSettings
from pegasus_runtime.tokenization.tokenizer import Tokenizer

__all__ = ["TokenChanges", "compare_tokens", "edit_distance", "rouge_drop", "summarize_sources"]

Tokens = tuple[int, ...]
_BATCH = 8  # documents


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenChanges:
    """Summaries in two precisions, compared."""

    documents: int
    documents_changed: int
    tokens: int
    """Of all fp32 summaries."""
    tokens_changed: int
    """Tokens inserted, deleted or replaced to get from the fp32 summaries to the others."""
    worst_share: float = 0.0
    """Of the tokens of the document whose summary changed most."""
    changed_by_batch: int = 0
    """Documents whose summary is another in a batch than alone."""
    rouge_drop: float | None = None
    """Points of ROUGE-L (0 to 100) lost; None where it was not asked for."""


def summarize_sources(
    engine: Engine,
    sources: Sequence[Sequence[int]],
    settings: SearchSettings,
    *,
    max_batch: int | None = None,
) -> list[Tokens]:
    """The best hypothesis of each source; max_batch: documents that the engine takes together."""
    summaries: list[Tokens] = []
    batch = min(_BATCH, max_batch or _BATCH)
    for start in range(0, len(sources), batch):
        found = generate(engine, sources[start : start + batch], settings)
        summaries += [hypotheses[0].token_ids for hypotheses in found]
    return summaries


def compare_tokens(
    expected: Sequence[Tokens],
    got: Sequence[Tokens],
    *,
    batched: Sequence[Tokens] | None = None,
    drop: float | None = None,
) -> TokenChanges:
    """fp32 summaries and those of the bundle, document by document.

    batched: the bundle's of several documents at a time.
    """
    distances = [edit_distance(*pair) for pair in zip(expected, got, strict=True)]
    shares = [
        distance / max(1, len(tokens)) for distance, tokens in zip(distances, expected, strict=True)
    ]
    others = got if batched is None else batched
    return TokenChanges(
        documents=len(expected),
        documents_changed=sum(distance > 0 for distance in distances),
        tokens=sum(map(len, expected)),
        tokens_changed=sum(distances),
        worst_share=max(shares, default=0.0),
        changed_by_batch=sum(one != other for one, other in zip(got, others, strict=True)),
        rouge_drop=drop,
    )


def edit_distance(source: Tokens, target: Tokens) -> int:
    """Tokens to insert, delete or replace to turn one into the other (Levenshtein 1966)."""
    columns = np.asarray(target)
    steps = np.arange(len(target) + 1)
    distances = steps.copy()
    for row, token in enumerate(source, 1):
        replaced = distances[:-1] + (columns != token)
        best = np.concatenate([[row], np.minimum(replaced, distances[1:] + 1)])
        distances = np.minimum.accumulate(best - steps) + steps  # insertions run to the right
    return int(distances[-1])


def rouge_drop(
    documents: Sequence[CalibrationDocument],
    tokenizer: Tokenizer,
    expected: Sequence[Tokens],
    got: Sequence[Tokens],
) -> float:
    """Points of ROUGE-L (F1, stemmed, 0 to 100) that the bundle loses against fp32.

    Measured against the documents' own summaries; where there are none, against fp32's summaries,
    whose own ROUGE-L is then 100. Raises: CalibrationError without rouge-score.
    """
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as err:
        raise CalibrationError(
            "rouge-score is not installed, which --max-rouge-drop needs: "
            "pip install 'pegasus-edge[export]'"
        ) from err
    scorer = RougeScorer(["rougeLsum"], use_stemmer=True)

    def mean_score(references: Sequence[str], summaries: Sequence[Tokens]) -> float:
        texts = [tokenizer.decode(summary) for summary in summaries]
        scores = [
            scorer.score(*(x.replace("<n>", "\n") for x in pair))["rougeLsum"].fmeasure
            for pair in zip(references, texts, strict=True)
        ]
        return 100 * float(np.mean(scores))

    summaries = [document.summary for document in documents if document.summary is not None]
    references = summaries or [tokenizer.decode(summary) for summary in expected]
    return mean_score(references, expected) - mean_score(references, got)
