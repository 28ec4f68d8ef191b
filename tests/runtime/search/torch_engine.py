"""A tiny transformers Pegasus behind the engine Protocol: correct, and with no cache at all."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import PegasusConfig, PegasusForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

from pegasus_runtime.decoding.interrupt import Interrupt
from pegasus_runtime.decoding.protocol import StepScores

PAD, EOS, START = 0, 1, 0


def tiny_pegasus(seed: int, *, vocab_size: int = 40, sharpness: float = 6.0) -> Any:
    """Random weights, made sharp so that beams do not tie, and EOS likely enough to occur."""
    torch.manual_seed(seed)
    config = PegasusConfig(
        vocab_size=vocab_size,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_position_embeddings=64,
        scale_embedding=True,
        dropout=0.0,
        pad_token_id=PAD,
        eos_token_id=EOS,
        decoder_start_token_id=START,
        forced_eos_token_id=None,
    )
    model = PegasusForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.normal_(0.0, 0.3)
        model.model.decoder.layer_norm.weight.fill_(sharpness / 2)
        model.final_logits_bias[0, EOS] = 3.0
    model.generation_config.forced_eos_token_id = None
    return model


class TorchEngine:
    """Encodes each document alone and decodes whole rows anew at every step."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def start(
        self,
        sources: Sequence[Sequence[int]],
        *,
        rows_per_document: int,
        max_length: int,
        interrupt: Interrupt | None = None,
    ) -> "TorchDecoding":
        with torch.no_grad():
            encoded = [
                self.model.get_encoder()(input_ids=torch.tensor([source])).last_hidden_state
                for source in sources
            ]
        longest = max(len(source) for source in sources)
        hidden = torch.zeros(len(sources), longest, encoded[0].shape[2])
        mask = torch.zeros(len(sources), longest, dtype=torch.int64)
        for row, states in enumerate(encoded):
            hidden[row, : states.shape[1]] = states[0]
            mask[row, : states.shape[1]] = 1
        return TorchDecoding(self.model, hidden, mask)


class TorchDecoding:
    """Holds every row's tokens."""

    def __init__(self, model: Any, hidden: torch.Tensor, mask: torch.Tensor) -> None:
        self.model, self.hidden, self.mask = model, hidden, mask
        self.history = torch.empty(len(hidden), 1, 0, dtype=torch.int64)

    def step(
        self,
        tokens: npt.NDArray[np.int64],
        parents: npt.NDArray[np.int64] | None,
        *,
        num_candidates: int,
        full: bool,
    ) -> StepScores:
        if parents is not None:
            rows = torch.from_numpy(parents)[:, :, None].expand(-1, -1, self.history.shape[2])
            self.history = self.history.gather(1, rows)
        appended = torch.from_numpy(tokens.copy()).reshape(len(self.hidden), -1, 1)
        self.history = torch.cat([self.history, appended], dim=2)
        rows_per_document, length = self.history.shape[1:]
        with torch.no_grad():
            logits = self.model(
                encoder_outputs=BaseModelOutput(
                    last_hidden_state=self.hidden.repeat_interleave(rows_per_document, dim=0)
                ),
                attention_mask=self.mask.repeat_interleave(rows_per_document, dim=0),
                decoder_input_ids=self.history.reshape(-1, length),
                use_cache=False,
            ).logits[:, -1]
        log_probs = torch.log_softmax(logits.float(), dim=-1).numpy()
        normalizer = torch.logsumexp(logits.float(), dim=-1, keepdim=True).numpy()
        ids = np.argsort(-log_probs, axis=1, kind="stable")[:, :num_candidates]
        return StepScores(
            top_scores=np.take_along_axis(log_probs, ids, axis=1),
            top_ids=ids,
            log_probs=log_probs if full else None,
            log_normalizer=normalizer if full else None,
        )

    def keep(self, documents: npt.NDArray[np.int64]) -> None:
        kept = torch.from_numpy(documents)
        self.hidden, self.mask = self.hidden[kept], self.mask[kept]
        self.history = self.history[kept]
