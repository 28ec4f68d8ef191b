"""Which of the vocabularies a bundle has."""

from pathlib import Path

from pegasus_runtime.bundle.tokenizer_spec import TokenizerSpec
from pegasus_runtime.tokenization.sentencepiece_vocabulary import SentencePieceVocabulary
from pegasus_runtime.tokenization.vocabulary import Vocabulary
from pegasus_runtime.tokenization.wordpiece import WordPiece

__all__ = ["load_vocabulary"]


def load_vocabulary(path: Path, spec: TokenizerSpec) -> Vocabulary:
    """The one in a file, as the manifest describes it. Raises: BundleError."""
    if spec.kind == "sentencepiece":
        return SentencePieceVocabulary.load(path, spec)
    if spec.kind == "wordpiece":
        return WordPiece.load(path, spec)
    # Where it is asked for: other bundles need none of it.
    from pegasus_runtime.tokenization.randeng import Randeng

    return Randeng.load(path, spec)
