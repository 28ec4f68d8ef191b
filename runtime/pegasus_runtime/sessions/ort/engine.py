"""Engine on ONNX Runtime: the graphs of target `ort`.

- encoder.py   documents to what the decoder attends to
- decoder.py   one token after another
- prefill.py   the tokens of a prompt at once
- cache.py     the keys and values of these tokens, which the decoder writes in place
- graph.py     one graph: loaded, checked, run
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence

from pegasus_runtime.bundle import Bundle
from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.errors import OptionsError
from pegasus_runtime.native.pages import PAGES
from pegasus_runtime.sessions.ort.decoder import OrtDecoder, OrtDecoding
from pegasus_runtime.sessions.ort.encoder import OrtEncoder
from pegasus_runtime.sessions.ort.graph import describe_runtime, map_tables
from pegasus_runtime.sessions.ort.prefill import OrtPrefill

__all__ = ["PROVIDERS", "OrtEngine"]

PROVIDERS = ("auto", "cpu")


class OrtEngine:
    """A bundle loaded into ONNX Runtime; safe to use from several threads.

    A bundle without an encoder (task text-generation) continues its sources, which are of one
    length: `start` reads all but their last tokens, which are the first step's.
    """

    def __init__(
        self, bundle: Bundle, *, provider: str = "auto", threads: int | None = None
    ) -> None:
        """Loads the graphs.

        threads: intra-op threads; None for one per core that this process may use.
        Raises: OptionsError if the provider or the threads are impossible; EngineError if
        onnxruntime is missing, or a graph cannot be loaded; BundleError if a graph is not the one
        that the manifest needs.
        """
        if provider not in PROVIDERS:
            raise OptionsError(
                f"provider {provider!r} is not offered for target 'ort': "
                f"use one of {', '.join(PROVIDERS)}"
            )
        self.description = describe_runtime()
        weakref.finalize(self, PAGES.release)  # the next model may need the memory
        tables = map_tables(bundle)
        has_encoder = "encoder" in bundle.manifest.graphs
        self.encoder = OrtEncoder(bundle, threads=threads, tables=tables) if has_encoder else None
        self.prefill = None
        if not has_encoder:
            self.prefill = OrtPrefill(bundle, threads=threads, tables=tables)
        self.decoder = OrtDecoder(bundle, threads=threads, tables=tables)

    def start(
        self,
        sources: Sequence[Sequence[int]],
        *,
        rows_per_document: int,
        max_length: int,
        interrupt: Interrupt | None = None,
    ) -> OrtDecoding:
        """See `Engine.start`."""
        encoder = self.encoder
        decoding = self.decoder.start(
            {} if encoder is None else encoder.encode(sources, interrupt=interrupt),
            batch=len(sources),
            rows_per_document=rows_per_document,
            max_length=max_length,
            interrupt=interrupt,
        )
        if self.prefill is not None and len(sources[0]) > 1:
            prompts = [source[:-1] for source in sources]
            decoding.fill(self.prefill.read(prompts, interrupt=interrupt))
        return decoding
