"""Weights of fewer bits: what is stored, and how a graph spells the products with it.

- recipe.py    which layer gets which format
- int8.py      a matrix as 8-bit integers, a scale per output channel
- int4.py      a matrix as 4-bit integers, a scale per block of 32
- quantize.py  the tensors of a recipe, one after another
- rewrite.py   the fp32 graph with its products respelled
"""
