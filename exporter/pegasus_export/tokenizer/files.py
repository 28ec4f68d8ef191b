"""The tokenizer's files of a checkpoint folder, and the class that transformers reads them with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from pegasus_export.checkpoint.folder import Checkpoint
from pegasus_export.checkpoint.json_object import read_json_object
from pegasus_export.errors import CheckpointError
from pegasus_runtime.tokenization.bounded_file import MAX_VOCABULARY_BYTES, read_bounded

__all__ = ["TokenizerClass", "TokenizerFiles", "read_tokenizer_files"]

TokenizerClass: TypeAlias = Literal["pegasus", "bert", "randeng", "file"]
"""PegasusTokenizer and BertTokenizer take the vocabulary from tokenizer.json, and do the rest by
their own rules; "randeng" is the class of that name in IDEA-CCNL's own code, for vocab.txt alone;
"file" does all that tokenizer.json says."""

_CLASSES: Final[Mapping[str, TokenizerClass]] = {
    "PegasusTokenizer": "pegasus",
    "BertTokenizer": "bert",
    "TokenizersBackend": "file",
    "PreTrainedTokenizer": "file",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerFiles:
    """What the files hold; an empty object for one that is not there."""

    folder: Path
    class_name: str | None
    """As the checkpoint names it."""
    config: Mapping[str, Any]
    special_tokens_map: Mapping[str, Any]
    added_tokens: Mapping[str, Any]
    json: Mapping[str, Any]
    spiece: Path | None
    vocab: Path | None
    """vocab.txt."""
    model_type: str
    is_randeng: bool = False

    @property
    def reader(self) -> TokenizerClass | None:
        """AutoTokenizer's choice; None for a class with rules of its own that is not known."""
        if self.is_randeng:
            return "randeng"
        if self.is_vocab_alone:  # AutoTokenizer needs the class for it
            return "bert"
        if self.model_type == "bigbird_pegasus" or (self.model_type == "pegasus_x" and self.json):
            return "file"
        if self.class_name is None and self.has_wordpiece_json:
            return "file"
        return "pegasus" if self.class_name is None else _CLASSES.get(self.class_name)

    @property
    def is_of_pegasus(self) -> bool:
        """Whether pieces of spiece.model are numbered as PegasusTokenizer numbers them.

        PEGASUS-X has PEGASUS's tokenizer; transformers 5.23 reads no spiece.model of it alone.
        """
        return self.model_type != "bigbird_pegasus"

    @property
    def has_wordpiece_json(self) -> bool:
        """Whether tokenizer.json has a model of this kind."""
        model = self.json.get("model")
        return isinstance(model, Mapping) and model.get("type") == "WordPiece"

    @property
    def is_vocab_alone(self) -> bool:
        """Whether vocab.txt is all there is of a vocabulary."""
        return self.vocab is not None and self.spiece is None and not self.json


def read_vocabulary(path: Path) -> bytes:
    """A spiece.model or vocab.txt. Raises: CheckpointError if it cannot be one."""
    try:
        return read_bounded(path, MAX_VOCABULARY_BYTES)
    except OSError as err:
        raise CheckpointError(
            f"{path} cannot be read ({err.strerror}): take the file of the checkpoint's tokenizer"
        ) from err


def read_tokenizer_files(checkpoint: Checkpoint) -> TokenizerFiles:
    """Raises: CheckpointError for a file that is no JSON object."""
    folder = checkpoint.folder

    def read(name: str) -> Mapping[str, Any]:
        return read_json_object(folder / name) if (folder / name).is_file() else {}

    config = read("tokenizer_config.json")
    name = config.get("tokenizer_class") or read("config.json").get("tokenizer_class")
    vocab = folder / "vocab.txt"
    return TokenizerFiles(
        folder=folder,
        class_name=name.removesuffix("Fast") if isinstance(name, str) else None,
        config=config,
        special_tokens_map=read("special_tokens_map.json"),
        added_tokens=read("added_tokens.json"),
        json=read("tokenizer.json"),
        spiece=checkpoint.spiece,
        vocab=vocab if vocab.is_file() else None,
        model_type=checkpoint.model_type,
    )
