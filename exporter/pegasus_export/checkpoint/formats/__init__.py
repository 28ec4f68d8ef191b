"""One reader per file format that holds weights: a path in, named tensors as the file has them."""
