"""Beam search, greedy search and sampling with Hugging Face's exact semantics, in pure NumPy.

Dimensions: B documents, K beams, R rows per document (K, or the samples asked for), N rows of one
call (B at the first, B*R after), T target tokens with the start token, S source tokens,
V vocabulary, C candidates per document, M banned tokens per row.
"""
