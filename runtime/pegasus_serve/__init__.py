"""Bundles over HTTP: pegasus-serve."""
