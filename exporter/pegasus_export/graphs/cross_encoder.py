"""The encoder of the targets that this runtime decodes: documents to cross-attention keys.

Dimensions: B batch, S source, H heads, Dh head dim, L decoder layers.
"""

from torch import Tensor, nn

from pegasus_export.dialects import block_sparse
from pegasus_export.graphs import whole
from pegasus_export.models.pegasus import Pegasus

__all__ = ["CrossEncoderGraph"]


class CrossEncoderGraph(nn.Module):
    """input_ids, attention_mask [B, S] int64 -> L keys, then L values, [B, H, S, Dh] float32."""

    def __init__(
        self,
        pegasus: Pegasus,
        attend_padded: whole.AttendPadded,
        attend_sparse: whole.AttendSparse = block_sparse.attend_any_length,
    ) -> None:
        super().__init__()
        self.pegasus = pegasus
        self.attend_padded = attend_padded
        self.attend_sparse = attend_sparse

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[list[Tensor], ...]:
        encoded = whole.encode(
            self.pegasus, input_ids, attention_mask, self.attend_padded, self.attend_sparse
        )
        cross = whole.cross_keys(self.pegasus, encoded, attention_mask)
        return list(cross.keys), list(cross.values)
