"""Everything that is slow the first time, run once."""

from pegasus_runtime.bundle import Manifest
from pegasus_runtime.decoding.protocol import Engine
from pegasus_runtime.generation.loop import generate
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.resolve import resolve_for_manifest

__all__ = ["run_all_sizes"]


def run_all_sizes(engine: Engine, manifest: Manifest) -> None:
    """Summarises nothing of note at each size that a plan was built for. Raises: EngineError."""
    sizes = {(1, 2)}
    if manifest.plans is not None:
        longest = manifest.limits.max_source_tokens
        sizes = {
            (profile["batch"][-1], min(profile["source"][-1], longest))
            for profile in manifest.plans.profiles["decoder_step"]
        }
    options = GenerationOptions(max_new_tokens=3, min_new_tokens=0, min_length=0)
    settings = resolve_for_manifest(options, manifest)
    token = manifest.token_ids.decoder_start_token_id  # any would do
    for batch, length in sorted(sizes):
        generate(engine, [[token] * length] * batch, settings)
