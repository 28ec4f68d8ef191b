"""Engines: what runs the graphs or plans of a bundle, a room for each library and each device."""
