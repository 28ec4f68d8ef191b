"""Token ids of a caller: what is refused before an engine sees it."""

from collections.abc import Sequence
from numbers import Integral

from pegasus_runtime.bundle import Manifest
from pegasus_runtime.errors import InputError
from pegasus_runtime.generation.failure import Errors, Failure, record_failure
from pegasus_runtime.tokenization.limits import over_limit
from pegasus_runtime.tokenization.tokenizer import Encoding

__all__ = ["check_encoding", "check_prompt", "check_source", "check_sources", "check_target"]


def check_source(number: int, source: Sequence[int], manifest: Manifest) -> None:
    """Checks the ids of one document, `number` from 0 up. Raises: InputError."""
    _check_token_ids(f"source {number}", source, manifest)


def check_sources(
    sources: Sequence[Sequence[int]], manifest: Manifest, errors: Errors
) -> list[Sequence[int] | Failure]:
    """Those of several documents, with failures among them. Raises: InputError, where errors are
    raised."""
    checked: list[Sequence[int] | Failure] = []
    for number, source in enumerate(sources):
        try:
            check_source(number, source, manifest)
            checked.append(source)
        except InputError as err:
            if errors == "raise":
                raise
            checked.append(record_failure(number, err))
    return checked


def check_encoding(encoding: Encoding, manifest: Manifest) -> None:
    """Checks what somebody else encoded. Raises: InputError."""
    _check_token_ids("encoding", encoding.token_ids, manifest)


def check_prompt(number: int, prompt: Sequence[int], manifest: Manifest) -> None:
    """Checks the ids of one prompt, `number` from 0 up. Raises: InputError."""
    _check_token_ids(f"prompt {number}", prompt, manifest)


def check_target(target: Sequence[int], manifest: Manifest) -> None:
    """Checks what a decoder is to read. Raises: InputError."""
    limit = manifest.limits.max_target_tokens
    _check_token_ids("decoder_input_ids", target, manifest, limit=limit)


def _check_token_ids(
    name: str, source: Sequence[int], manifest: Manifest, *, limit: int | None = None
) -> None:
    """Checks the ids of one document; name: what to call it; limit: other than a document's."""
    limit, vocab_size = limit or manifest.limits.max_source_tokens, manifest.architecture.vocab_size
    if not isinstance(source, Sequence) or not all(isinstance(token, Integral) for token in source):
        raise InputError(
            f"{name} is no sequence of integers: give one list of token ids per document"
        )
    if not source:
        raise InputError(f"{name} has no tokens: give at least EOS")
    if len(source) > limit:
        model = manifest.architecture
        raise over_limit(name, len(source), limit, model=model, can_cut=False)
    outside = [token for token in source if not 0 <= token < vocab_size]
    if outside:
        raise InputError(
            f"{name} has token {outside[0]}, the vocabulary ends at {vocab_size - 1}: "
            "encode it with this bundle's tokenizer"
        )
