"""Documents to hypotheses: batches, the loop over them, and what a caller sees of it meanwhile."""
