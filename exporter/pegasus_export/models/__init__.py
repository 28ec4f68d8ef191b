"""The network in torch: one file for each architecture, and the reading of its weights into it."""
