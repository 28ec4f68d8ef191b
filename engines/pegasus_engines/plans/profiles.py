"""From a bundle's limits to the optimisation profiles of its plans.

A profile gives each dynamic dimension a smallest size, one to be fastest at, and a largest. Wide
ranges make slow plans and a change of shape within one costs time, so that profiles are few, and
fixed sizes wherever padding costs little: documents are padded to the next bucket. Block-sparse
encoders take sources of whole blocks, whose padding is dearer: they get ranges. So do the caches of
decoders, of which a step reads all, filled or not: they begin short, and grow a few times.
"""

from dataclasses import dataclass

from pegasus_runtime.bundle import Profile
from pegasus_runtime.bundle.block_sparse import MIN_BLOCKS, SEEN_BLOCKS

__all__ = [
    "SparseLengths",
    "block_lengths",
    "describe_profile",
    "full_lengths",
    "plan_profiles",
    "sparse_ranges",
]

_MAX_BUCKETS = 3
_SHORTEST_CACHE = 32  # tokens
_MOST_TOKENS = 8192  # that are encoded at a time, for what that takes of memory
_ALIGNMENT = 8  # tokens; tensor cores read fp16 in such pieces

_Range = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseLengths:
    """Which sources a block-sparse encoder reads sparsely.

    longest_full: up to so many tokens, padding included, it attends in full; block_size: longer
    sources are padded to a multiple of it. is_told: whether inputs say which blocks are seen, as
    they do where no plugin knows.
    """

    longest_full: int
    block_size: int
    is_told: bool = True

    def __post_init__(self) -> None:
        _check_positive("longest_full", self.longest_full)
        _check_positive("block_size", self.block_size)


def plan_profiles(
    *,
    max_source_tokens: int,
    max_batch: int,
    num_beams: int,
    max_target_tokens: int,
    sparse: SparseLengths | None = None,
) -> dict[str, tuple[Profile, ...]]:
    """Graph's name -> its profiles, shortest sources first, for `PlanSpec.profiles`.

    encoder: dimensions batch (1, and `max_batch` where they are not too many tokens) and source.
    A block-sparse one encodes documents one by one, reads whole blocks, and where it is told what
    it sees has middle and seen: the blocks between the first and the last, and how many of the
    source's blocks these see: all up to `sparse.longest_full` tokens, five in longer sources.
    decoder_step: batch, beams, time and source, for one document and for `max_batch`.
    Raises: ValueError for limits below 1.

    >>> limits = dict(max_batch=1, num_beams=8, max_target_tokens=64)
    >>> profiles = plan_profiles(max_source_tokens=512, **limits)
    >>> [profile["source"] for profile in profiles["encoder"]]
    [(128, 128, 128), (256, 256, 256), (512, 512, 512)]
    """
    _check_positive("max_source_tokens", max_source_tokens)
    _check_positive("max_batch", max_batch)
    _check_positive("num_beams", num_beams)
    _check_positive("max_target_tokens", max_target_tokens)
    if sparse is None:
        sources = tuple(_static(length) for length in full_lengths(max_source_tokens))
        encoder: tuple[Profile, ...] = tuple(
            {"batch": _static(batch), "source": source}
            for batch in sorted({1, max_batch})
            for source in sources
            if batch == 1 or batch * source[-1] <= _MOST_TOKENS
        )
    else:
        longest_full = min(max_source_tokens, sparse.longest_full)
        full = block_lengths(longest_full, sparse.block_size)
        ranges = sparse_ranges(max_source_tokens, sparse)
        sources = (*(_static(length) for length in full), *ranges)
        encoder = tuple(_sparse_encoder(source, sparse) for source in sources)
    decoder = tuple(
        {
            "batch": _static(batch),
            "beams": _static(num_beams),
            "time": (min(_SHORTEST_CACHE, max_target_tokens), max_target_tokens, max_target_tokens),
            "source": source,
        }
        for batch in sorted({1, max_batch})
        for source in sources
    )
    return {"encoder": encoder, "decoder_step": decoder}


def full_lengths(longest: int) -> tuple[int, ...]:
    """The source lengths, in tokens, that a fully attending graph is built for: up to three.

    The longest, its half and its quarter; these two are rounded up to multiples of 8.

    >>> full_lengths(704)
    (176, 352, 704)
    """
    _check_positive("longest", longest)
    shorter = {_round_up(longest, 2**n * _ALIGNMENT) // 2**n for n in range(1, _MAX_BUCKETS)}
    return (*sorted(length for length in shorter if length < longest), longest)


def block_lengths(longest: int, block_size: int) -> tuple[int, ...]:
    """The same in whole blocks, three or more: what a block-sparse encoder reads in full.

    >>> block_lengths(704, 64)
    (192, 384, 704)
    """
    _check_positive("longest", longest)
    blocks = {max(MIN_BLOCKS, -(-longest // (2**n * block_size))) for n in range(_MAX_BUCKETS)}
    return tuple(count * block_size for count in sorted(blocks))


def sparse_ranges(max_source_tokens: int, sparse: SparseLengths) -> tuple[_Range, ...]:
    """The ranges of source lengths that a block-sparse graph is built for: up to three.

    They meet, in whole blocks, at the half and the quarter of the longest; each is fastest at its
    largest. None where every source is attended to in full.

    >>> sparse_ranges(4096, SparseLengths(longest_full=704, block_size=64))
    ((768, 1024, 1024), (1088, 2048, 2048), (2112, 4096, 4096))
    """
    block = sparse.block_size
    if max_source_tokens <= sparse.longest_full:
        return ()
    shortest = _round_up(sparse.longest_full + 1, block)
    ends = sorted({_round_up(max_source_tokens, 2**n * block) // 2**n for n in range(_MAX_BUCKETS)})
    ends = [end for end in ends if end >= shortest]
    starts = [shortest, *(end + block for end in ends[:-1])]
    return tuple((start, end, end) for start, end in zip(starts, ends, strict=True))


def describe_profile(profile: Profile) -> str:
    """A profile in words, for a table or an error.

    >>> describe_profile({"batch": (1, 1, 1), "source": (768, 1024, 1024)})
    'batch 1, source 768 to 1024'
    """
    return ", ".join(
        f"{name} {smallest}" if smallest == largest else f"{name} {smallest} to {largest}"
        for name, (smallest, _, largest) in profile.items()
    )


def _encoder(source: _Range) -> Profile:
    return {"batch": _static(1), "source": source}


def _sparse_encoder(source: _Range, sparse: SparseLengths) -> Profile:
    if not sparse.is_told:
        return _encoder(source)
    blocks = [length // sparse.block_size for length in source]
    is_full = source[2] <= sparse.longest_full + -sparse.longest_full % sparse.block_size
    middle = (blocks[0] - 2, blocks[1] - 2, blocks[2] - 2)
    seen = (blocks[0], blocks[1], blocks[2]) if is_full else _static(SEEN_BLOCKS)
    return {**_encoder(source), "middle": middle, "seen": seen}


def _static(size: int) -> _Range:
    return size, size, size


def _round_up(value: int, multiple: int) -> int:
    return value + -value % multiple


def _check_positive(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} is {value}, expected at least 1")
