"""Holds engines to older instructions than the processor has, by variables of their libraries.

ONNX Runtime's own operators, ours and Optimum's, choose their instructions themselves, and so does
OpenVINO for products in fp32; they cannot be held, and a figure says so.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["INSTRUCTIONS", "NOT_HELD"]

INSTRUCTIONS: Mapping[str, Mapping[str, str]] = {
    "avx2": {
        "PEGASUS_EDGE_INSTRUCTIONS": "avx2",
        "CT2_FORCE_CPU_ISA": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",  # of CTranslate2, OpenVINO and torch alike
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
    }
}
"""What --instructions takes -> environment variables of every worker."""

NOT_HELD = "ONNX Runtime's own operators, and OpenVINO's products in fp32, cannot be held to them"
