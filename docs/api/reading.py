"""How the reference reads the source: two things that mkdocstrings would get wrong."""

from typing import Any

import griffe


class Reading(griffe.Extension):
    """Runnable lines stand as code; an exported name is what it is when imported.

    Without it `[1, 2]` in a docstring's example would be read as a link, and `models.esmm`, a
    function in a file of that name, as the file.
    """

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Called once all of the package is read."""
        self._export(pkg)

    def _export(self, module: griffe.Module) -> None:
        for inner in [*module.modules.values()]:
            if not inner.is_alias:
                self._export(inner)
        for name in module.exports or ():
            found = module.members.get(str(name))
            if found is not None and found.is_module and str(name) in found.members:
                own = found.members[str(name)]
                module.set_member(str(name), griffe.Alias(str(name), own, parent=module))

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for every module, class, function and attribute, once it is read."""
        if obj.docstring is not None and ">>>" in obj.docstring.value:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(text: str) -> str:
    """The text with fences around its runnable lines; they end with a blank line."""
    lines: list[str] = []
    inside = False
    for line in [*text.splitlines(), ""]:
        if not inside and line.lstrip().startswith(">>>"):
            indent = line[: len(line) - len(line.lstrip())]
            lines.append(f"{indent}```pycon")
            inside = True
        elif inside and not line.strip():
            lines.append(f"{indent}```")
            inside = False
        lines.append(line)
    return "\n".join(lines).rstrip()
