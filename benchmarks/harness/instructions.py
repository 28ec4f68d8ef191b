"""Holds engines to older instructions than the processor has, by variables of their libraries.

ONNX Runtime's own operators, in ours and in Optimum's, cannot be held, and a figure says so; nor
can OpenVINO, whose worker ends with that for a reason.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["INSTRUCTIONS", "NOT_HELD"]

INSTRUCTIONS: Mapping[str, Mapping[str, str]] = {
    "avx2": {
        "PEGASUS_EDGE_INSTRUCTIONS": "avx2",
        "CT2_FORCE_CPU_ISA": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",  # of CTranslate2 and torch alike
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
    }
}
"""What --instructions takes -> environment variables of every worker."""

NOT_HELD = "ONNX Runtime's own operators cannot be held to them"
