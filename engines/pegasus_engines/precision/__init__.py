"""Weights of fewer bits: what is stored, and how a graph spells the products with it.

- recipe.py          which layer gets which format
- convert.py         from a network's graphs and weights to those of a bundle
- passes/            what is done to the graphs for it
- equalisation.py    large activations moved into the weights that read them: exact

For ONNX Runtime:

- int8.py            a matrix as 8-bit integers, a scale per output channel
- int4.py            a matrix as 4-bit integers, a scale per block of 32
- quantize.py        the tensors of a recipe, one after another

For TensorRT:

- fp16.py            weights in half precision
- residual_shift.py  the residual stream at a scale that fp16 holds: exact
- padded_weights.py  a vocabulary, and positions, of sizes that engines like
- symmetric.py       matrices as integers, with scales in fp16
"""
