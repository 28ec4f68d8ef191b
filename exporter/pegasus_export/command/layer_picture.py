"""A picture of what each layer loses by its format: one bar a layer, one colour a format."""

import math
from collections.abc import Mapping
from html import escape

__all__ = ["draw_layers"]

_WIDTH, _LEFT, _TOP, _ROW = 960, 330, 76, 16  # pixels, as all that follows
_BAR, _RIGHT = 11, 60
_COLOURS = {"int8": "#2a6fb0", "int4": "#b0632a", "fp16": "#9aa4ad", "fp32": "#9aa4ad"}


def draw_layers(
    errors: Mapping[str, float], formats: Mapping[str, str], *, limit: float, title: str
) -> str:
    """An SVG, in the order of `formats`, on a logarithmic scale.

    errors: layer -> relative error of its outputs; formats: layer -> what it is stored in, of those
    too that have no error. limit: beyond which a layer is kept in a higher precision.
    """
    largest = max([*errors.values(), 2 * limit])
    smallest = min([error for error in errors.values() if error > 0] or [limit / 100])
    low, high = math.floor(math.log10(smallest)), math.log10(largest)

    def place(error: float) -> float:
        share = (math.log10(max(error, 10.0**low)) - low) / (high - low)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    height = _TOP + _ROW * len(formats) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="system-ui, sans-serif" font-size="11">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="26" font-size="16" fill="#1c2733">{escape(title)}</text>',
        '<text x="16" y="46" fill="#5a6772">relative error of each layer\'s outputs, on the '
        "calibration documents; logarithmic</text>",
    ]
    for power in range(low, math.floor(high) + 1):
        x = place(10.0**power)
        parts += [_line(x, height, "#dde3e8"), _text(x, _TOP - 8, f"{10.0**power:g}", "middle")]
    parts += [_line(place(limit), height, "#c0392b"), _text(place(limit) + 4, _TOP - 8, "limit")]
    for row, (name, form) in enumerate(formats.items()):
        y = _TOP + _ROW * row
        error = errors.get(name)
        parts.append(_text(_LEFT - 8, y + _BAR - 1, name.removeprefix("model."), "end"))
        if error is None:
            parts.append(_text(_LEFT + 4, y + _BAR - 1, form))
            continue
        width = max(1.0, place(error) - _LEFT)
        parts += [
            f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" '
            f'fill="{_COLOURS[form]}"/>',
            _text(_LEFT + width + 5, y + _BAR - 1, f"{error:.4f} {form}"),
        ]
    return "\n".join([*parts, "</svg>", ""])


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" fill="#1c2733">{escape(text)}</text>'


def _line(x: float, height: int, colour: str) -> str:
    return f'<line x1="{x:.1f}" y1="{_TOP - 4}" x2="{x:.1f}" y2="{height - 12}" stroke="{colour}"/>'
