"""The stages of an export, from a checkpoint that was read to a bundle that was verified."""
