"""PTX as Triton writes it, made into what somebody else can launch.

Triton ends the signature of every kernel with pointers to scratch memory (3.9 with two of them,
`global_scratch` and `profile_scratch`). A kernel reads them only if it asks for such memory, and
nobody but Triton's own launcher passes them.
"""

import re

__all__ = ["PtxError", "strip_scratch_parameters"]


class PtxError(ValueError):
    """PTX that cannot be made into what is asked for."""


def strip_scratch_parameters(ptx: str, entry: str, *, num_arguments: int) -> str:
    """The same PTX, kernel `entry` with its first `num_arguments` parameters alone.

    Everything else stays as it is. Raises: PtxError if there is no such kernel, if it has fewer
    parameters, if one of the others is no pointer, or if anything reads it.
    """
    pattern = rf"(\.entry\s+{re.escape(entry)}\s*\()([^)]*)(\))"
    found = re.findall(pattern, ptx)
    if len(found) != 1:
        raise PtxError(f"the PTX has {len(found)} kernels {entry}, expected one")
    parameters = [line.strip() for line in _without_comments(found[0][1]).split(",")]
    parameters = [parameter for parameter in parameters if parameter]
    if len(parameters) < num_arguments:
        raise PtxError(f"{entry} has {len(parameters)} parameters, expected {num_arguments}")
    kept, scratch = parameters[:num_arguments], parameters[num_arguments:]
    names = [_pointer_name(parameter, entry) for parameter in scratch]
    listed = "\n\t" + ",\n\t".join(kept) + "\n" if kept else ""
    stripped = re.sub(pattern, lambda match: match[1] + listed + match[3], ptx)
    code = _without_comments(stripped)
    for name in names:
        if re.search(rf"(?<![\w$%]){re.escape(name)}(?![\w$%])", code):
            raise PtxError(
                f"{entry} reads its parameter {name}, expected nobody to use scratch memory: "
                "compile it without what asks for it, such as tensor descriptors or profiling"
            )
    return stripped


def _pointer_name(parameter: str, entry: str) -> str:
    match = re.fullmatch(r"\.param\s+\.[bu]64(?:\s+\.ptr.*)?\s+([\w$%]+)", parameter, re.DOTALL)
    if match is None:
        raise PtxError(
            f"{entry} ends in the parameter {parameter}, expected the pointers to scratch memory "
            "that Triton adds"
        )
    return match[1]


def _without_comments(ptx: str) -> str:
    return re.sub(r"//[^\n]*|/\*.*?\*/", " ", ptx, flags=re.DOTALL)
