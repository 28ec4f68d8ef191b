"""Libraries that cannot be imported: missing, broken, or interrupted."""

import pytest

from pegasus_runtime.errors import EngineError
from pegasus_runtime.native.import_failure import explain_import_error

INSTALL = "pip install onnxruntime"


def explain(error: ImportError) -> EngineError:
    return explain_import_error(error, "onnxruntime", INSTALL)


def test_only_a_library_that_is_not_there_is_not_installed() -> None:
    missing = ModuleNotFoundError("No module named 'onnxruntime'", name="onnxruntime")
    with pytest.raises(EngineError, match=f"^onnxruntime is not installed: {INSTALL}$"):
        raise explain(missing)
    says = rf"^onnxruntime cannot be imported \(libgomp\.so\.1: no such file\): {INSTALL}$"
    with pytest.raises(EngineError, match=says):
        raise explain(ImportError("libgomp.so.1: no such file"))
    with pytest.raises(EngineError, match=r"cannot be imported \(No module named 'coloredlogs'\)"):
        raise explain(ModuleNotFoundError("No module named 'coloredlogs'", name="coloredlogs"))


def test_ctrl_c_while_it_is_imported_stays_ctrl_c() -> None:
    error: ImportError | None = None
    try:
        try:
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt as err:
                raise SystemError("initialization failed") from err
        except SystemError as err:
            raise ImportError("initialization failed") from err
    except ImportError as err:
        error = err
    assert error is not None
    with pytest.raises(KeyboardInterrupt):
        explain(error)
