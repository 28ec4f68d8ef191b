"""The graph of feature extraction: last hidden states, the same in all targets but for the dialect.

model    input_ids, attention_mask [B, S], decoder_input_ids [B, T]
         -> last_hidden_state [B, T, D] of the decoder, encoder_last_hidden_state [B, S, D]
"""

from torch import Tensor, nn

from pegasus_export.graphs import whole
from pegasus_export.graphs.definition import GraphDefinition, SparseAttention, integers
from pegasus_export.models.pegasus import Pegasus

__all__ = ["feature_graphs"]

_SOURCE = ("batch_size", "encoder_sequence_length")
_TARGET = ("batch_size", "decoder_sequence_length")
_SIZES = {"batch_size": 2, "encoder_sequence_length": 5, "decoder_sequence_length": 3}


class FeaturesModel(nn.Module):
    """input_ids, attention_mask [B, S], decoder_input_ids [B, T] -> last hidden states."""

    def __init__(self, pegasus: Pegasus, attend_padded: whole.AttendPadded) -> None:
        super().__init__()
        self.pegasus = pegasus
        self.attend_padded = attend_padded

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, decoder_input_ids: Tensor
    ) -> tuple[Tensor, Tensor]:
        encoded = whole.encode(self.pegasus, input_ids, attention_mask, self.attend_padded)
        cross = whole.cross_keys(self.pegasus, encoded, attention_mask)
        hidden, _ = whole.decode(self.pegasus, decoder_input_ids, cross)
        return hidden, encoded


def feature_graphs(
    pegasus: Pegasus, attend_padded: whole.AttendPadded, attention: SparseAttention | None
) -> list[GraphDefinition]:
    """The one graph; the encoder's attention is in the target's dialect."""
    d_model = pegasus.config.d_model
    sizes = _SIZES | {_SOURCE[1]: whole.trace_length(pegasus)}
    model = GraphDefinition(
        name="model",
        module=FeaturesModel(pegasus, attend_padded),
        arguments=(
            integers("input_ids", _SOURCE, sizes),
            integers("attention_mask", _SOURCE, sizes),
            integers("decoder_input_ids", _TARGET, _SIZES),
        ),
        outputs={
            "last_hidden_state": (*_TARGET, d_model),
            "encoder_last_hidden_state": (*_SOURCE, d_model),
        },
        attention=attention,
    )
    return [model]
