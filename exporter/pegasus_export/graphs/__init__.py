"""The graphs of each target: which inputs and outputs, and the dialect at the model's seams."""
