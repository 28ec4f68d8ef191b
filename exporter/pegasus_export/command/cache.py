"""What `--list-cache` prints and `--clear-cache` deletes: bundles that were loaded by name."""

import json
from pathlib import Path

from pegasus_engines.command.report import format_size
from pegasus_export.errors import UnsupportedError
from pegasus_runtime.command_line.messages import escape_controls
from pegasus_runtime.command_line.streams import write_result
from pegasus_runtime.hub.cache_folder import cache_folder
from pegasus_runtime.hub.clear_entry import clear_entry, size_of
from pegasus_runtime.hub.entry import list_records
from pegasus_runtime.spelling import did_you_mean

__all__ = ["ALL", "clear_cache", "list_cache"]

ALL = "all"


def list_cache(*, as_json: bool) -> None:
    """Raises: ResultError."""
    rows = []
    for _, record in list_records():
        size = size_of(Path(record.folder))
        rows.append(
            {
                "name": record.name,
                "revision": record.revision or "main",
                "task": record.task,
                "precision": record.precision,
                "made": record.made if size else f"{record.made}, gone since",
                "bytes": size,
                "folder": record.folder,
            }
        )
    if as_json:
        write_result(json.dumps({"cache": str(cache_folder()), "bundles": rows}, indent=2) + "\n")
        return
    lines = [f"{cache_folder()}: {len(rows)} bundle{'' if len(rows) == 1 else 's'}"]
    for row in rows:
        is_main = row["revision"] == "main"
        name = f"{row['name']}{'' if is_main else '@' + str(row['revision'])}"
        shown = format_size(int(str(row["bytes"])))
        lines.append(f"{name}  {row['task']}  {row['precision']}  {row['made']}  {shown}")
        lines.append(f"    {row['folder']}")
    write_result("".join(f"{escape_controls(line)}\n" for line in lines))


def clear_cache(name: str) -> None:
    """Deletes the bundles of a name, or of all. Raises: UnsupportedError, BundleError."""
    records = list_records()
    chosen = [(entry, record) for entry, record in records if name in (ALL, record.name)]
    if not chosen and name != ALL:
        known = sorted({record.name for _, record in records})
        raise UnsupportedError(
            f"--clear-cache is {name}, which is not in {cache_folder()}"
            f"{did_you_mean(name, known)}: see --list-cache"
        )
    for entry, record in chosen:
        freed = clear_entry(entry, record)
        write_result(f"{record.name}, {record.precision}: deleted, {format_size(freed)} freed\n")
    if not chosen:
        write_result(f"{cache_folder()}: nothing to delete\n")
