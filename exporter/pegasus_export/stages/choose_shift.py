"""A checkpoint's residual stream, looked at on documents, and shifted so that fp16 holds it."""

import dataclasses
from pathlib import Path

from pegasus_export.measure.documents import DEFAULT_DOCUMENTS
from pegasus_export.measure.residual import choose_shift, largest_residual
from pegasus_export.stages.prepare import Prepared
from pegasus_runtime.tokenization.tokenizer import Tokenizer

__all__ = ["choose_residual_shift"]

_DOCUMENTS = 8  # in which the largest value is looked for


def choose_residual_shift(prepared: Prepared, folder: Path) -> Prepared:
    """The same by a recipe whose residual stream fits fp16, with these documents at least."""
    spec, longest = prepared.tokenizer, prepared.limits.max_source_tokens
    largest = 0.0
    if spec is not None:
        tokenizer = Tokenizer.load(folder / spec.file, spec)
        largest = largest_residual(
            prepared.pegasus,
            [
                tokenizer.encode(each.text, max_tokens=longest, truncate=True).token_ids
                for each in (prepared.documents or DEFAULT_DOCUMENTS)[:_DOCUMENTS]
            ],
        )
    recipe = dataclasses.replace(prepared.recipe, residual_shift=choose_shift(largest))
    return dataclasses.replace(prepared, recipe=recipe)
