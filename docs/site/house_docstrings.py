"""Docstrings of this house in the site's reference: an extension of griffe, which reads them.

A public name without docstring ends the build.
"""

from __future__ import annotations

from collections.abc import Iterator

import griffe

from docstring_markdown import markdown_from_docstring

__all__ = ["HouseDocstrings", "find_undocumented"]


class HouseDocstrings(griffe.Extension):
    """Rewrites the docstrings of every package that the reference loads."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: object) -> None:
        """Raises: ValueError where a public name has no docstring."""
        missing = find_undocumented(pkg)
        if missing:
            raise ValueError(f"public, and without docstring: {', '.join(missing)}")
        errors = set(pkg.modules["errors"].classes) if "errors" in pkg.modules else set()
        for found in _objects_below(pkg):
            if found.docstring is not None:
                found.docstring.value = markdown_from_docstring(
                    found.docstring.value, names=_names_told(found), errors=errors
                )


def find_undocumented(package: griffe.Module) -> list[str]:
    """What a package offers in `__all__` and does not explain: a class, a method, a field."""
    names = [str(name) for name in package.exports or ()]
    offered = [package.members[name] for name in names if not name.startswith("_")]
    found = [each.final_target if isinstance(each, griffe.Alias) else each for each in offered]
    members = [
        member
        for each in found
        if isinstance(each, griffe.Class)
        for member in each.members.values()
        if isinstance(member, griffe.Function)
        or (isinstance(member, griffe.Attribute) and "dataclass" in each.labels)
    ]
    public = [each for each in members if not each.name.startswith("_")]
    return [each.path for each in (*found, *public) if not each.has_docstring]


def _objects_below(parent: griffe.Object) -> Iterator[griffe.Object]:
    yield parent
    for member in parent.members.values():
        if isinstance(member, griffe.Object):
            yield from _objects_below(member)


def _names_told(found: griffe.Object) -> set[str]:
    if isinstance(found, griffe.Function):
        return {parameter.name for parameter in found.parameters}
    if isinstance(found, griffe.Class):
        return set(found.attributes)
    return set()
