"""How an attention seam is spelled in each target's ONNX, one file per dialect.

Every function here has an eager meaning in torch, tested against transformers. Where a dialect
uses operators that torch does not have, `torch.compiler.is_exporting()` selects the ONNX node.
"""
