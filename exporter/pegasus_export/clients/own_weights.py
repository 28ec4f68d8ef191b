"""A graph whose weights lie in a file of its own: a browser fetches one for each session."""

from pathlib import Path

import onnx_ir as ir

from pegasus_engines.weights import WeightsFile

__all__ = ["write_with_own_weights"]


def write_with_own_weights(source: Path, target: Path) -> str:
    """Writes the graph of one file to another, and what it reads beside it: NAME.onnx_data.

    Returns the SHA-256 of the latter. Raises: OSError.
    """
    model = ir.load(source)
    external = {
        name: value
        for name, value in model.graph.initializers.items()
        if isinstance(value.const_value, ir.ExternalTensor)
    }
    with WeightsFile(target.with_name(f"{target.name}_data")) as file:
        for name, value in external.items():
            assert value.const_value is not None
            file.write([(name, value.const_value.numpy())])
            value.const_value = file.tensors[name]
    ir.save(model, target)
    return file.sha256
