"""What an export hands back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pegasus_export.verify.measure import Measured
from pegasus_export.verify.tokens import TokenChanges
from pegasus_runtime.bundle import Bundle

__all__ = ["ExportResult"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """What came out."""

    bundle: Bundle
    measured: Sequence[Measured]
    changes: TokenChanges | None
    """What a lower precision changed in the summaries; None for fp32."""
    seconds: float
    notes: tuple[str, ...] = ()
    """On what of the checkpoint was read otherwise than it stands there."""
    layer_errors: Mapping[str, float] = field(default_factory=dict)
    """Layer stored in integers -> relative error of its outputs, the worst first."""
    layer_formats: Mapping[str, str] = field(default_factory=dict)
    """Layer -> int8, int4, fp16 or fp32, in the network's order; none where all are the same."""
