"""What one TensorRT offers builds and another does not.

It is found out by looking for it, as version numbers of the two libraries say different things.
"""

from collections.abc import Mapping
from typing import Any

from pegasus_runtime.native.tensorrt import Flavour

__all__ = ["capability_table", "network_flags"]


def capability_table(flavour: Flavour) -> Mapping[str, Any]:
    """Compute capability -> how TensorRT calls it, of all GPUs that it builds for without them.

    Empty where it builds for the GPU at hand alone.
    """
    known = getattr(flavour.module, "ComputeCapability", None)
    if known is None or flavour.target == "trt":
        return {}
    names = [name for name in known.__members__ if name.startswith("SM") and name[2:].isdigit()]
    return {f"{name[2:-1]}.{name[-1]}": known.__members__[name] for name in names}


def network_flags(flavour: Flavour) -> int:
    """The flags of a network whose types are the graph's.

    TensorRT 10 has to be told so, later versions know no other networks.
    """
    flag = getattr(flavour.module.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)
