"""What is done to graphs, one pass per file; each says whether it changed anything.

Of a network as it was traced, in fp32:

- shift_residual.py     the residual stream at another scale
- residual_stream.py    how it is found
- take_stored.py        weights as they were stored
- rewrite_products.py   products in ONNX Runtime's operators for fewer bits
- inline_functions.py   functions where they are called
- add_final_bias.py     the head's bias, which hides tokens that there are not
- quantize_products.py  integers in front of products, for TensorRT
- check_gemm.py         what such products look like
- register_tensor.py    how either of the two adds a tensor
- halve_graph.py        fp16, but for log-probabilities
- share_tables.py       tables of several graphs as inputs

Of what came out:

- emulate_half.py       fp16 graphs on any CPU, for checks
"""
