"""Layers that suffer most from fewer bits go back to fp32 or fp16, until the summaries hold."""

import dataclasses

from pegasus_engines.precision.recipe import PrecisionRecipe
from pegasus_export.errors import VerificationError
from pegasus_export.measure.sensitivity import rank_layers
from pegasus_export.stages.build import Builder
from pegasus_export.verify.comparison import Baseline, compare_bundle
from pegasus_export.verify.tokens import TokenChanges
from pegasus_runtime.bundle import Manifest

__all__ = ["restore_layers"]


def restore_layers(
    builder: Builder, manifest: Manifest, baseline: Baseline, *, max_rouge_drop: float
) -> tuple[Manifest, TokenChanges]:
    """Builds with 0, 1, 2, 4, 8 … of the worst layers in fp32, or in fp16 where the others
    are fp16, until ROUGE-L holds.

    manifest: of the bundle as it was built first. The worst are those whose own outputs are
    furthest from fp32, on the baseline's documents.
    Raises: VerificationError where it does not hold even with every layer so.
    """
    recipe, progress = builder.prepared.recipe, builder.progress
    with progress("rank layers"):
        errors = rank_layers(
            builder.prepared.pegasus,
            recipe,
            baseline.sources,
            baseline.summaries,
            smoothing=builder.smoothing,
        )
    worst = list(errors)
    count = 0
    while True:
        with progress(f"compare with fp32 ({count} of {len(worst)} layers restored)"):
            bundle = builder.staging.preview(manifest)
            changes = compare_bundle(bundle, baseline, with_rouge=True)
        assert changes.rouge_drop is not None
        if changes.rouge_drop <= max_rouge_drop:
            return manifest, changes
        if count == len(worst):
            kept = "fp16" if recipe.is_half else "fp32"
            raise VerificationError(
                f"ROUGE-L drops by {changes.rouge_drop:.2f} points even with every layer in "
                f"{kept}, expected at most {max_rouge_drop:g}: report this with the checkpoint's "
                "config.json"
            )
        count = min(len(worst), max(1, 2 * count))
        manifest = builder.build(_restore(recipe, worst[:count]))


def _restore(recipe: PrecisionRecipe, layers: list[str]) -> PrecisionRecipe:
    return dataclasses.replace(recipe, kept=recipe.kept | frozenset(layers))
