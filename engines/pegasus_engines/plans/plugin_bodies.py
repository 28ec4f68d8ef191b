"""Takes the bodies of what plugins compute out of a model, so that TensorRT looks for the plugins.

TensorRT's parser prefers a function of the model to a plugin of its name. The functions are fields
of their own at the top of the file, which can be left out without knowing anything else of ONNX:
devices that build plans need no onnx package for it.

Source: onnx.proto (ModelProto.functions = 25; FunctionProto.name = 1, domain = 10).
"""

from collections.abc import Iterator

__all__ = ["drop_plugin_bodies"]

_FUNCTIONS = 25
_DOMAIN = 10
_VARINT, _EIGHT_BYTES, _DELIMITED, _FOUR_BYTES = 0, 1, 2, 5


def drop_plugin_bodies(model: bytes, domain: str) -> bytes:
    """The same model without the functions of a domain; weights in other files stay there.

    Raises: ValueError if the bytes are no protobuf message.
    """
    kept = []
    for number, field, content in _fields(model):
        if number == _FUNCTIONS and _is_of(content, domain):
            continue
        kept.append(field)
    return b"".join(kept)


def _is_of(function: bytes, domain: str) -> bool:
    return any(
        number == _DOMAIN and content == domain.encode() for number, _, content in _fields(function)
    )


def _fields(message: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Number, the whole field, and what it holds (of those with a length), one after the other."""
    view, start = memoryview(message), 0
    while start < len(view):
        key, at = _varint(view, start)
        number, kind = key >> 3, key & 7
        begin = at
        if kind == _VARINT:
            _, at = _varint(view, at)
        elif kind == _DELIMITED:
            length, begin = _varint(view, at)
            at = begin + length
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            at += 8 if kind == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"byte {start} begins a field of kind {kind}: no ONNX model")
        if at > len(view):
            raise ValueError(f"ends inside the field that begins at byte {start}: no ONNX model")
        yield number, bytes(view[start:at]), bytes(view[begin:at])
        start = at


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    """A number of seven bits per byte, the lowest first, and where it ends."""
    value = shift = 0
    while True:
        if at >= len(view) or shift > 63:
            raise ValueError(f"no number ends before byte {at}: no ONNX model")
        value |= (view[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if view[at - 1] < 128:
            return value, at
