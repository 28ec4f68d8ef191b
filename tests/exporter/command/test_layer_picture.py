"""The picture of what each layer loses."""

import re
from xml.etree import ElementTree

from pegasus_export.command.layer_picture import draw_layers

ERRORS = {"model.decoder.layers.0.fc1": 0.1, "model.encoder.layers.0.fc1": 0.01}
FORMATS = {
    "model.encoder.layers.0.fc1": "int8",
    "model.encoder.layers.0.fc2": "fp32",
    "model.decoder.layers.0.fc1": "int4",
}


def texts(picture: str) -> list[str]:
    return [str(each.text) for each in ElementTree.fromstring(picture)[1:] if each.text]


def test_it_has_a_bar_for_each_layer_with_an_error_and_says_the_format_of_others() -> None:
    picture = draw_layers(ERRORS, FORMATS, limit=0.05, title="a <b>")
    shown = texts(picture)
    assert shown[0] == "a <b>"
    rows = ["encoder.layers.0.fc1", "0.0100 int8", "encoder.layers.0.fc2", "fp32"]
    rows += ["decoder.layers.0.fc1", "0.1000 int4"]
    assert shown[-6:] == rows
    widths = [float(x) for x in re.findall(r'width="([0-9.]+)" height="11"', picture)]
    assert len(widths) == 2
    assert widths[0] < widths[1]


def test_errors_of_zero_and_none_at_all_can_be_drawn() -> None:
    assert "0.0000 int8" in texts(draw_layers({"a": 0.0}, {"a": "int8"}, limit=0.05, title=""))
    assert texts(draw_layers({}, {"a": "fp32"}, limit=0.05, title=""))[-1] == "fp32"
