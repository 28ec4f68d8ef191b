"""The small model that shows what a summary is: exported from a clone, or loaded by its name."""

from __future__ import annotations

from pathlib import Path

import pegasus_runtime
from pegasus_runtime.errors import BundleError
from pegasus_runtime.hub.entry import Entry
from pegasus_runtime.hub.find_bundle import export_once, find_bundle

__all__ = ["ARTICLE", "DEMO_NAME", "find_demo"]

DEMO_NAME = "pegasus-edge/pegasus-mini"
ARTICLE = """\
A strong earthquake shook the area around Sandwick early on Tuesday. An aftershock of magnitude \
5.1 was felt as far away as Settle. An earthquake of magnitude 5.7 near Selby killed 86 in 2005. \
The injured numbered 370, many of them with broken bones. Bus services between Thirsk and Granby \
were running normally. The region earned $670 million from tourism last year. Officials confirmed \
that the quake had killed 75 people. The tremor had a magnitude of 4.5, the geological institute \
said."""
"""A wire report, of the kind that the model was trained on; no such quake was."""

_CLONE = "clone"
"""In place of a revision, for what is nobody's but the clone's."""
_CHECKPOINT = Path("examples", "checkpoints", "pegasus-mini")


def find_demo(*, precision: str | None = None) -> Path:
    """The folder of its bundle: from the clone that this runs in, or from, else from the hub.

    Raises: BundleError.
    """
    checkpoint = _in_clone()
    if checkpoint is not None:
        entry = Entry(
            name=DEMO_NAME, revision=_CLONE, task="summarization", precision=precision or "fp32"
        )
        return Path(export_once(entry, checkpoint=checkpoint).folder)
    try:
        # As an address: beside a clone, the name is that of a folder in it.
        return find_bundle(f"hf://{DEMO_NAME}", "summarization", precision=precision)
    except BundleError as err:
        raise BundleError(
            f"the demo's model is neither in {_CHECKPOINT}, as in a clone of pegasus-edge, nor to "
            f"be had by name ({err}): run this in a clone, or name a bundle"
        ) from err


def _in_clone() -> Path | None:
    """Where the sources are that are installed, or in the current folder."""
    roots = (Path(pegasus_runtime.__file__).resolve().parents[2], Path())
    found = (root / _CHECKPOINT for root in roots)
    return next((path for path in found if (path / "model.safetensors").is_file()), None)
