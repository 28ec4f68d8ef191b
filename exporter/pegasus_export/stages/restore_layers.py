"""Layers that suffer most from few bits get more: int8 after int4, then fp32 or fp16."""

from collections.abc import Iterator, Mapping

from pegasus_engines.precision.recipe import Layer, PrecisionRecipe, find_layers
from pegasus_export.errors import VerificationError
from pegasus_export.stages.build import Builder
from pegasus_export.verify.comparison import Baseline, compare_bundle
from pegasus_export.verify.tokens import TokenChanges
from pegasus_runtime.bundle import Manifest

__all__ = ["LAYER_LIMITS", "raise_worst_layers", "restore_layers"]

LAYER_LIMITS: Mapping[str, float] = {"int8": 0.05, "int4": 0.06}
"""Format -> what a layer's outputs may err in it, relative to their size."""
_SHARE = 4  # at most one layer of so many gets more for that


def raise_worst_layers(builder: Builder, manifest: Manifest) -> Manifest:
    """Builds once more, or twice from int4, if there are layers beyond the limit of their format.

    manifest: of the bundle as it was built first. At most a quarter of all layers gets more bits,
    the worst ones.
    """
    layers = {layer.name: layer for layer in find_layers(builder.weights)}
    most = len(builder.layer_errors) // _SHARE
    recipe = builder.prepared.recipe
    while True:
        given = recipe.raised | (recipe.kept - builder.prepared.recipe.kept)
        worst = [
            layers[name]
            for name, error in builder.layer_errors.items()
            if error > LAYER_LIMITS.get(recipe.format_of(layers[name]), error)
        ]
        again = [layer for layer in worst if layer.name in given]
        first = [layer for layer in worst if layer.name not in given][: most - len(given)]
        if not (first or again):
            return manifest
        recipe = recipe.raise_formats([*first, *again])
        manifest = builder.build(recipe)


def restore_layers(
    builder: Builder, manifest: Manifest, baseline: Baseline, *, max_rouge_drop: float
) -> tuple[Manifest, TokenChanges]:
    """Builds with more bits for 0, 1, 2, 4, 8 … of the worst layers, until ROUGE-L holds.

    manifest: of the bundle as it was built first. The worst are those whose own outputs are
    furthest from fp32, on the baseline's documents.
    Raises: VerificationError where it does not hold even with every layer in fp32, or in fp16 where
    what is not quantised is.
    """
    layers = {layer.name: layer for layer in find_layers(builder.weights)}
    worst = [layers[name] for name in builder.layer_errors]
    recipes = _more_and_more(builder.prepared.recipe, worst)
    told = "no layer raised"
    while True:
        with builder.progress(f"compare with fp32 ({told})"):
            bundle = builder.staging.preview(manifest)
            changes = compare_bundle(bundle, baseline, with_rouge=True)
        assert changes.rouge_drop is not None
        if changes.rouge_drop <= max_rouge_drop:
            return manifest, changes
        count, recipe = next(recipes, (0, None))
        if recipe is None:
            kept = "fp16" if builder.prepared.recipe.is_half else "fp32"
            raise VerificationError(
                f"ROUGE-L drops by {changes.rouge_drop:.2f} points even with every layer in "
                f"{kept}, expected at most {max_rouge_drop:g}: report this with the checkpoint's "
                "config.json"
            )
        told = f"{count} of {len(worst)} layers in {recipe.format_of(worst[0])}"
        manifest = builder.build(recipe)


def _more_and_more(
    recipe: PrecisionRecipe, worst: list[Layer]
) -> Iterator[tuple[int, PrecisionRecipe]]:
    """How many layers have the next format, and the recipe: all of one format before the next."""
    while any(recipe.format_of(layer) in LAYER_LIMITS for layer in worst):
        count = 1
        while True:
            yield count, recipe.raise_formats(worst[:count])
            if count == len(worst):
                break
            count = min(len(worst), 2 * count)
        recipe = recipe.raise_formats(worst)
