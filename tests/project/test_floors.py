"""The house stands on its floors: no file imports from above, or from a neighbour's room."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "mtl_seq"

FLOORS = {
    "errors": 0,
    "_files": 1,
    "functional": 1,
    "funnel": 2,
    "features": 2,
    "schema": 3,
    "records": 3,
    "data": 4,
    "simulate": 4,
    "nn": 4,
    "losses": 4,
    "metrics": 4,
    "models": 5,
    "fit": 6,
    "fusion": 6,
    "report": 6,
    "comparison": 7,
    "export": 7,
    "studies": 7,
    "testing": 7,
    "cli": 8,
    "__init__": 9,
    "__main__": 9,
}


def room_of(module: str) -> str:
    """``mtl_seq.nn.mlp`` is in room ``nn``; the package itself is ``__init__``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imported(source: str) -> list[str]:
    """Modules of the package that a source imports, at any depth of nesting."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the floor"
            if node.module == "mtl_seq":
                # `from mtl_seq import nn` reaches into the room, not into the package's front.
                found += [f"mtl_seq.{alias.name}" for alias in node.names]
            else:
                found.append(str(node.module))
    return [name for name in found if name.split(".")[0] == "mtl_seq"]


def violations(room: str, source: str) -> list[str]:
    """Imports of a source in `room` that do not lead to a lower floor or stay in the room."""
    bad = []
    for module in imported(source):
        target = room_of(module)
        assert target in FLOORS, f"{module} is on no floor: give its room one"
        if target != room and FLOORS[target] >= FLOORS[room]:
            bad.append(module)
    return bad


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_lead_down(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert violations(room, path.read_text(encoding="utf-8")) == []


def test_every_room_has_a_floor():
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in FILES}
    assert rooms == set(FLOORS)


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("nn", "from mtl_seq.losses import IPS"),
        ("funnel", "import mtl_seq.nn"),
        ("losses", "def f():\n    from mtl_seq import models"),
        ("data", "import mtl_seq"),
    ],
)
def test_the_check_sees_a_violation(room, source):
    assert violations(room, source)


def test_nobody_makes_datasets_a_package():
    assert not list((PACKAGE.parent / "datasets").rglob("__init__.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_stay_small(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


def file_of(module: str) -> Path:
    """``mtl_seq.nn`` is its ``__init__.py``; a name within a module is that module."""
    path = PACKAGE.parent / module.replace(".", "/")
    if (path / "__init__.py").is_file():
        return path / "__init__.py"
    file = path.with_suffix(".py")
    return file if file.is_file() else file_of(module.rpartition(".")[0])


def test_no_files_import_each_other_in_a_circle():
    graph = {
        path: {file_of(module) for module in imported(path.read_text(encoding="utf-8"))} - {path}
        for path in FILES
    }
    order = list(TopologicalSorter(graph).static_order())
    assert len(order) == len(FILES)
