"""Everything that pegasus_export raises on purpose.

ExportError
├── CheckpointError      the source checkpoint cannot be used: missing, damaged, inconsistent
├── UnsupportedError     asked for something that pegasus_export does not offer
├── CalibrationError     the documents to compare precisions on cannot be used
├── VerificationError    the finished bundle disagrees with the model it was made from
└── OutputError          the bundle cannot be written: the folder exists, the disk is full

Every message is one line: what is wrong, what was got, what was expected, what to do next.
"""

__all__ = [
    "CalibrationError",
    "CheckpointError",
    "ExportError",
    "OutputError",
    "UnsupportedError",
    "VerificationError",
]


class ExportError(Exception):
    """Base of all errors that pegasus_export raises on purpose."""


class CheckpointError(ExportError):
    """The source checkpoint cannot be used: missing, damaged, inconsistent."""


class UnsupportedError(ExportError):
    """Asked for something that pegasus_export does not offer."""


class CalibrationError(ExportError):
    """The documents to compare precisions on cannot be used."""


class VerificationError(ExportError):
    """The finished bundle disagrees with the model it was made from."""


class OutputError(ExportError):
    """The bundle cannot be written: the folder exists, the disk is full."""
