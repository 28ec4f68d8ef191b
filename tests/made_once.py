"""What takes seconds to make is made once in a run, whichever of its processes asks first."""

import hashlib
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

from pegasus_export.stages.export import ExportRequest, ExportResult, export_bundle

__all__ = ["MadeOnce"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeOnce:
    """Folders that all processes of one run of the tests share; read only once they are made."""

    root: Path
    _results: dict[str, ExportResult] = field(default_factory=dict)

    def folder(self, name: str, write: Callable[[Path], object]) -> Path:
        """root/name as write leaves it; who asks while it is being written waits."""
        folder, mark = self.root / name, self.root / f"{name}.made"
        self.root.mkdir(exist_ok=True)
        with FileLock(self.root / f"{name}.lock"):
            if not mark.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of a process that failed
                write(folder)
                mark.touch()
        return folder

    def export(self, **options: object) -> ExportResult:
        """The result of an export with these fields of its request; each process reads it once."""
        named = repr(ExportRequest(**options, output=Path("bundle")))  # type: ignore[arg-type]
        key = hashlib.sha256(named.encode()).hexdigest()[:16]

        def export(folder: Path) -> None:
            request = ExportRequest(**options, output=folder / "bundle")  # type: ignore[arg-type]
            result = export_bundle(request)
            (folder.parent / f"{key}.result").write_bytes(pickle.dumps(result))

        if key not in self._results:
            self.folder(key, export)
            self._results[key] = pickle.loads((self.root / f"{key}.result").read_bytes())
        return self._results[key]
