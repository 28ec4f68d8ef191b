"""Layers that suffer most from fewer bits go back to fp32 or fp16."""

import dataclasses
from collections.abc import Mapping

from pegasus_engines.precision.recipe import PrecisionRecipe
from pegasus_export.errors import VerificationError
from pegasus_export.stages.build import Builder
from pegasus_export.verify.comparison import Baseline, compare_bundle
from pegasus_export.verify.tokens import TokenChanges
from pegasus_runtime.bundle import Manifest

__all__ = ["LAYER_LIMITS", "keep_worst_layers", "restore_layers"]

LAYER_LIMITS: Mapping[str, float] = {"int8": 0.05, "int4": 0.2}
"""Precision -> what a layer's outputs may err, relative to their size."""
_SHARE = 4  # at most one layer of so many is kept for that


def keep_worst_layers(builder: Builder, manifest: Manifest) -> Manifest:
    """Builds once more, with the layers beyond the limit in fp32 or fp16, if there are any.

    manifest: of the bundle as it was built first. At most a quarter of all layers is kept, the
    worst ones.
    """
    recipe, errors = builder.prepared.recipe, builder.layer_errors
    limit = LAYER_LIMITS.get(recipe.name, 0.0)
    worst = [name for name, error in errors.items() if error > limit][: len(errors) // _SHARE]
    return builder.build(_restore(recipe, worst)) if worst else manifest


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
    worst = list(builder.layer_errors)
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
