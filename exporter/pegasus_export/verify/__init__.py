"""The finished bundle against the torch modules it was made from; a failing check fails the export.

reference.py   what the torch modules say, from whole sequences without a cache
measure.py     the largest error, and the tolerance of each precision
ort.py         target `ort`, through the runtime's own session
onnx.py        target `onnx`, and the graph of a feature extractor, through plain sessions
"""
