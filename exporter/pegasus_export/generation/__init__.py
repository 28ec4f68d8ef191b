"""One graph that generates: encoder, decoder and beam search."""
