"""Everything that is slow the first time, run once."""

from pegasus_runtime.bundle import Manifest
from pegasus_runtime.decoding.protocol import Engine
from pegasus_runtime.generation.loop import generate
from pegasus_runtime.search.options import GenerationOptions
from pegasus_runtime.search.resolve import resolve_for_manifest
from pegasus_runtime.sessions.device.shapes import DecoderSizes

__all__ = ["run_all_sizes"]


_LEAST_STEPS = 3


def run_all_sizes(engine: Engine, manifest: Manifest) -> None:
    """Summarises nothing of note at each size that a plan was built for, until its cache is as long
    as it becomes. Raises: EngineError."""
    sizes = {(1, 2)}
    if manifest.plans is not None:
        limit = manifest.limits.max_source_tokens
        sizes = {
            (profile["batch"][-1], min(profile["source"][-1], limit))
            for profile in manifest.plans.profiles["decoder_step"]
        }
    longest = _steps_to_longest_cache(manifest)
    options = GenerationOptions(max_new_tokens=longest, min_new_tokens=longest)
    settings = resolve_for_manifest(options, manifest)
    token = manifest.token_ids.decoder_start_token_id  # any would do
    for batch, length in sorted(sizes):
        generate(engine, [[token] * length] * batch, settings)


def _steps_to_longest_cache(manifest: Manifest) -> int:
    if manifest.plans is None:
        return _LEAST_STEPS
    ranges = [profile["time"] for profile in manifest.plans.profiles["decoder_step"]]
    times = [
        DecoderSizes(batch=1, beams=1, source=1, time=longest, least_time=least).times
        for least, _, longest in ranges
    ]
    most = max(shorter[-1] + 2 if (shorter := each[:-1]) else _LEAST_STEPS for each in times)
    return min(most, manifest.limits.max_target_tokens - 1)
