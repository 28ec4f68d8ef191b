"""Weights of fewer bits: what is stored, and how a graph spells the products with it.

- recipe.py     which layer gets which format
- convert.py    from a network's graphs and weights to those of a bundle

For ONNX Runtime:

- int8.py       a matrix as 8-bit integers, a scale per output channel
- int4.py       a matrix as 4-bit integers, a scale per block of 32
- quantize.py   the tensors of a recipe, one after another
- rewrite.py    the fp32 graph with its products respelled

For TensorRT:

- fp16.py       half precision that is exact
- symmetric.py  matrices as integers, with scales in fp16
- smoothing.py  large activations moved into the weights that read them
- qdq.py        the graph with integers in front of its products
- emulate.py    fp16 graphs on any CPU, for checks
"""
