"""Pipeline "feature-extraction": texts to the decoder's hidden states.

Source: transformers 4.57, pipelines/feature_extraction.py.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from pegasus_runtime.errors import OptionsError
from pegasus_runtime.generation.stream import check_count
from pegasus_runtime.pipelines.keywords import check_known, drop_none, is_truncating
from pegasus_runtime.pipelines.pipeline_inputs import check_texts, in_groups
from pegasus_runtime.tasks.feature_extractor import FeatureExtractor

__all__ = ["FeatureExtractionPipeline"]

_OWN = ("batch_size", "num_workers", "return_tensors", "tokenize_kwargs", "truncation")


class FeatureExtractionPipeline:
    """What `pipeline("feature-extraction")` was.

    Called with a text, it returns [1, T, D] as nested lists, T tokens of D numbers; with a list of
    texts, a list of them; with what gives texts one by one, an iterator, which reads no more than
    batch_size ahead.
    """

    def __init__(self, model: FeatureExtractor, task: str, **keywords: Any) -> None:
        """keywords: of every call, unless the call has them too. Raises: OptionsError."""
        self.model = model
        self.task = task
        self._keywords = keywords
        self._given({})

    def __call__(self, inputs: str | Iterable[str], **keywords: Any) -> Any:
        """Texts to hidden states.

        truncation: cut a text that is over the bundle's limit; tokenize_kwargs: {"truncation": …}
        is the same. return_tensors: arrays of NumPy, float32, in place of lists. num_workers has no
        effect. Raises: InputError, OptionsError, EngineError.
        """
        given = self._given(keywords)
        check_texts("inputs", inputs)
        if isinstance(inputs, str):
            return next(self._extract([inputs], given))
        found = self._extract(inputs, given)
        return list(found) if isinstance(inputs, list) else found

    def _given(self, keywords: dict[str, Any]) -> dict[str, Any]:
        given = drop_none({**self._keywords, **drop_none(keywords)})
        check_known(given, _OWN)
        check_count("batch_size", given.get("batch_size", 1))
        inner = given.pop("tokenize_kwargs", {})
        if others := [name for name in inner if name != "truncation"]:
            raise OptionsError(
                f"tokenize_kwargs has {', '.join(others)}, expected truncation alone: a text is "
                "cut to the bundle's limit"
            )
        if "truncation" in inner and "truncation" in given:
            raise OptionsError("truncation is given twice: leave it out of tokenize_kwargs")
        truncation = given.get("truncation", inner.get("truncation", False))
        return {**given, "truncation": is_truncating(truncation)}

    def _extract(self, texts: Iterable[str], given: dict[str, Any]) -> Iterator[Any]:
        for group in in_groups(texts, given.get("batch_size", 1)):
            for features in self.model.extract(group, truncate=given["truncation"]):
                states = features.last_hidden_state[None]  # [T, D] -> [1, T, D]
                yield states if given.get("return_tensors") else states.tolist()
