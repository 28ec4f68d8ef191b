"""Everything that is slow the first time, run once."""

from pegasus_runtime.bundle import Manifest
from pegasus_runtime.decoding.protocol import Engine
from pegasus_runtime.generation.loop import generate
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.resolve import resolve_for_manifest

__all__ = ["run_all_sizes"]


def run_all_sizes(engine: Engine, manifest: Manifest) -> None:
    """Summarises nothing of note at each size that a plan was built for. Raises: EngineError."""
    lengths, batches = {2}, {1}
    if manifest.plans is not None:
        for profile in manifest.plans.profiles["decoder_step"]:
            lengths.add(min(profile["source"][1], manifest.limits.max_source_tokens))
            batches.add(profile["batch"][1])
    options = GenerationOptions(max_new_tokens=3, min_new_tokens=0, min_length=0)
    settings = resolve_for_manifest(options, manifest)
    token = manifest.token_ids.decoder_start_token_id  # any would do
    for length in sorted(lengths):
        for batch in sorted(batches):
            generate(engine, [[token] * length] * batch, settings)
