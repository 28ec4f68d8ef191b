"""Which sizes a batch runs at: plans are built for a few of each dimension, and a batch is padded.

Dimensions: B documents, K beams, S source, T target positions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pegasus_runtime.bundle import PlanSpec, Profile
from pegasus_runtime.bundle.block_sparse import whole_blocks
from pegasus_runtime.errors import EngineError

__all__ = ["BlockRule", "DecoderSizes", "fit_decoder", "fit_encoder", "largest_encoder_batch"]

_SHORTEST_CACHE = 32  # tokens; that of one beam is a megabyte or two then
_SOURCE_STEP = 128  # tokens


@dataclass(frozen=True, slots=True)
class DecoderSizes:
    """What a decoder step is given; at least what was asked for.

    time: of the cache once it has grown; least_time: at first.
    """

    batch: int
    beams: int
    source: int
    time: int
    least_time: int = 1

    @property
    def times(self) -> tuple[int, ...]:
        """The lengths of the cache one after the other: a step reads all of it, filled or not.

        >>> DecoderSizes(batch=1, beams=8, source=512, time=256).times
        (32, 64, 128, 256)
        """
        lengths = (_SHORTEST_CACHE * 2**n for n in range(self.time.bit_length()))
        return (*(x for x in lengths if self.least_time <= x < self.time), self.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRule:
    """Which lengths a block-sparse encoder reads; sizes in tokens."""

    block_size: int
    longest_full: int

    def least_length(self, source: int) -> int:
        """Whole blocks, three or more."""
        return whole_blocks(source, self.block_size)

    def fits(self, profile: Profile, length: int, source: int) -> bool:
        """Whether a profile is for the attention that a source of so many tokens gets.

        The last block is what every block sees: a source for sparse attention is not padded on.
        """
        if source <= self.longest_full:
            return profile["source"][-1] <= self.least_length(self.longest_full)
        is_sparse = profile["source"][0] > self.longest_full
        return is_sparse and length == self.least_length(source)


def fit_encoder(plans: PlanSpec | None, source: int, *, blocks: BlockRule | None = None) -> int:
    """The length at which a document of `source` tokens is encoded. Raises: EngineError."""
    wanted = source if blocks is None else blocks.least_length(source)
    if plans is None:
        return wanted
    found = [
        length
        for profile in plans.profiles["encoder"]
        for length in (_smallest(profile["source"], wanted),)
        if length is not None and (blocks is None or blocks.fits(profile, length, source))
    ]
    if not found:
        raise _no_profile(plans, "encoder", {"source": source})
    return min(found)


def largest_encoder_batch(plans: PlanSpec | None, length: int) -> int:
    """How many documents of a padded length are encoded at a time, where one can be, too.

    One without plans, whose documents are not padded, and of whole blocks: which of them are seen
    may depend on the document.
    """
    if plans is None:
        return 1
    return max(
        (
            profile["batch"][-1]
            for profile in plans.profiles["encoder"]
            if profile["source"][0] <= length <= profile["source"][-1]
        ),
        default=1,
    )


def fit_decoder(plans: PlanSpec | None, wanted: DecoderSizes) -> DecoderSizes:
    """The sizes at which a batch is decoded: the largest of the smallest profile that holds it.

    A size in between would be one more to bind, record and, with TensorRT for RTX, compile; the
    mask hides what is behind a document. Without plans, sizes are rounded up, for the same reason.
    Raises: EngineError.
    """
    if plans is None:
        source = wanted.source + -wanted.source % _SOURCE_STEP
        return replace(wanted, source=source, time=_round_time(wanted.time))
    sizes = {
        "batch": wanted.batch,
        "beams": wanted.beams,
        "time": wanted.time,
        "source": wanted.source,
    }
    found = []
    for profile in plans.profiles["decoder_step"]:
        largest = {name: profile[name][-1] for name in sizes}
        if all(size <= largest[name] for name, size in sizes.items()):
            found.append(DecoderSizes(**largest, least_time=profile["time"][0]))
    if not found:
        raise _no_profile(plans, "decoder_step", sizes)
    return min(found, key=lambda x: (x.batch, x.source, x.time, x.beams))


def _round_time(wanted: int) -> int:
    """So that batches that may become about as long share their memory."""
    return max(_SHORTEST_CACHE, 1 << (wanted - 1).bit_length())


def _smallest(sizes: Sequence[int], wanted: int) -> int | None:
    """The smallest size from `wanted` on that lies in a profile's range."""
    return max(sizes[0], wanted) if wanted <= sizes[-1] else None


def _no_profile(plans: PlanSpec, graph: str, sizes: dict[str, int]) -> EngineError:
    def text(profile: Profile) -> str:
        return ", ".join(f"{name} {profile[name][0]} to {profile[name][-1]}" for name in sizes)

    offered = "; ".join(text(profile) for profile in plans.profiles[graph])
    got = ", ".join(f"{name} {size}" for name, size in sizes.items())
    return EngineError(
        f"graph {graph} was not built for {got}, but for {offered}: export with larger "
        "--max-source-tokens, --max-target-tokens, --max-batch or --num-beams"
    )
