"""Target `onnx` behind the runtime's Protocol: its graphs, called as other people's clients do.

Dimensions: B documents, R rows per document, N = B*R, S source, V vocabulary.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pegasus_engines.ort import Graph, open_graph
from pegasus_export.verify.inputs import pad_documents
from pegasus_runtime.bundle import Bundle
from pegasus_runtime.decoding.candidates import select_top
from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.decoding.protocol import StepScores

__all__ = ["OnnxEngine"]

Int64 = npt.NDArray[np.int64]
_Array = npt.NDArray[np.generic]
_Arrays = dict[str, _Array]


class OnnxEngine:
    """An Engine over encoder_model and decoder_model_merged."""

    def __init__(self, bundle: Bundle, *, suffix: str = "") -> None:
        """suffix: of the graphs' names in the manifest. Raises: EngineError."""
        name = f"decoder_model_merged{suffix}"
        self.bundle = bundle
        self.encode = open_graph(bundle, f"encoder_model{suffix}")
        self.decode = open_graph(bundle, name)
        self.past = [
            each
            for each in bundle.manifest.graphs[name].inputs
            if each.name.startswith("past_key_values.")
        ]

    def start(
        self,
        sources: Sequence[Sequence[int]],
        *,
        rows_per_document: int,
        max_length: int,
        interrupt: Interrupt | None = None,
    ) -> "OnnxDecoding":
        """See `Engine.start`."""
        ids, mask = pad_documents(
            [list(source) for source in sources], self.bundle.manifest.token_ids.pad_token_id
        )
        states = self.encode({"input_ids": ids, "attention_mask": mask})["last_hidden_state"]
        facts = self.bundle.manifest.architecture
        empty = (len(sources), facts.decoder_heads, 0, facts.head_dim)
        past: _Arrays = {each.name: np.zeros(empty, each.dtype) for each in self.past}
        source: _Arrays = {"encoder_attention_mask": mask, "encoder_hidden_states": states}
        return OnnxDecoding(self.decode, source, past)


class OnnxDecoding:
    """One batch being decoded: what each call returned as present is the next one's past."""

    def __init__(self, decode: Graph, source: _Arrays, past: _Arrays) -> None:
        self.decode = decode
        self.batch = len(source["encoder_attention_mask"])
        self.arrays = source | past
        self.has_past = False

    def step(
        self, tokens: Int64, parents: Int64 | None, *, num_candidates: int, full: bool
    ) -> StepScores:
        """See `Decoding.step`."""
        if parents is not None:
            rows_before = len(self.arrays["encoder_attention_mask"]) // self.batch
            self._take(parents + np.arange(self.batch)[:, None] * rows_before)
        feeds = {"input_ids": np.asarray(tokens, np.int64)[:, None]}
        returned = self.decode(
            {**self.arrays, **feeds, "use_cache_branch": np.array([self.has_past])}
        )
        for name, value in returned.items():
            is_of_source = ".encoder." in name
            if name.startswith("present.") and not (is_of_source and self.has_past):
                self.arrays[name.replace("present.", "past_key_values.")] = value
        self.has_past = True
        logits = np.asarray(returned["logits"][:, -1], np.float32)  # [N, 1, V] -> [N, V]
        largest = logits.max(axis=-1, keepdims=True)
        normalizer = largest + np.log(np.exp(logits - largest).sum(axis=-1, keepdims=True))
        log_probs = logits - normalizer
        top = select_top(log_probs, num_candidates)
        return StepScores(
            top_scores=top.scores,
            top_ids=top.ids,
            log_probs=log_probs if full else None,
            log_normalizer=normalizer if full else None,
        )

    def keep(self, documents: Int64) -> None:
        """See `Decoding.keep`."""
        rows = len(self.arrays["encoder_attention_mask"]) // self.batch
        self._take(np.asarray(documents)[:, None] * rows + np.arange(rows))
        self.batch = len(documents)

    def _take(self, rows: Int64) -> None:
        self.arrays = {name: array[rows.reshape(-1)] for name, array in self.arrays.items()}
