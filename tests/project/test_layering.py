"""Import layering: a file imports from lower layers only, down to the sub-folders."""

import ast
import importlib
import re
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import mtl_seq

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mtl_seq"

# Of the package ("") and of each of its packages: layers from the lowest, members of a layer never
# import each other. A package that is absent here has no sub-folders; its files form no circle.
LAYERS = {
    "": [
        {"errors"},
        {"_files", "functional", "funnel", "features"},
        {"records", "schema"},
        {"losses", "metrics", "data", "simulate", "nn"},
        {"models", "report"},
        {"calibration", "_search"},
        {"dependence", "fusion"},
        {"fit"},
        {"tune", "experiments", "export", "testing"},
        {"cli"},
        {"__init__", "__main__"},
    ],
    "data": [{"validate"}, {"csv"}, {"parquet"}, {"encode"}, {"loaders"}, {"__init__"}],
    "fit": [
        {"balance", "optim", "parameters", "score"},
        {"config"},
        {"prepare", "sharded"},
        {"train"},
        {"prediction", "storage"},
        {"calibration_step"},
        {"estimator"},
        {"expert_gates", "click_selection"},
        {"__init__"},
    ],
    "nn": [
        {"layers", "forward"},
        {"compose"},
        {"bottoms", "heads"},
        {"network"},
        {"tower_copy"},
        {"__init__"},
    ],
    "report": [
        {"compute"},
        {"render"},
        {"simulation", "estimator_study", "bias_report", "expert_gates"},
        {"__init__"},
    ],
    "simulate": [
        {"common"},
        {"logistic", "scenario_file", "shard_files", "mmoe_regression", "semi_synthetic", "probit"},
        {"mrdr", "registry"},
        {"shards"},
        {"__init__"},
    ],
}
FILES = sorted(PACKAGE.rglob("*.py"))
PUBLIC = sorted(name for name in mtl_seq.__all__ if (PACKAGE / name / "__init__.py").is_file())
by_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))


def imported(source: str) -> list[str]:
    """Modules of the package that a source imports, at any depth of nesting."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the layer"
            if node.module == "mtl_seq":
                # `from mtl_seq import nn` imports that package, not the whole.
                found += [f"mtl_seq.{alias.name}" for alias in node.names]
            else:
                found.append(str(node.module))
    return [name for name in found if name.split(".")[0] == "mtl_seq"]


def layer_of(family: str, member: str) -> int:
    """The number of the layer, from 0."""
    numbers = [k for k, layer in enumerate(LAYERS[family]) if member in layer]
    assert numbers, f"{member!r} is in no layer of {family or 'mtl_seq'!r}: give it one in LAYERS"
    return numbers[0]


def violations(module: str, source: str) -> list[str]:
    """Imports of a module's source that do not lead to a lower layer or stay in the folder."""
    bad = []
    own = [*module.split("."), "__init__"]
    for target in imported(source):
        theirs = [*target.split("."), "__init__"]
        for depth, family in ((1, ""), (2, own[1])):
            if family and (family not in LAYERS or theirs[1] != family):
                continue
            here, there = own[depth], theirs[depth]
            if here != there and layer_of(family, there) >= layer_of(family, here):
                bad.append(target)
                break
    return bad


def module_of(path: Path) -> str:
    """``mtl_seq/nn/__init__.py`` is ``mtl_seq.nn``."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@by_file
def test_imports_lead_down(path):
    assert violations(module_of(path), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("mtl_seq.nn.network", "from mtl_seq.losses import IPS"),
        ("mtl_seq.funnel", "import mtl_seq.nn"),
        ("mtl_seq.losses.ips", "def f():\n    from mtl_seq import models"),
        ("mtl_seq.data.encode.codec", "import mtl_seq"),
        ("mtl_seq.dependence.find", "from mtl_seq.fit import FunnelEstimator"),
        ("mtl_seq.fit.train.loop", "from mtl_seq.fit.estimator import FunnelEstimator"),
        ("mtl_seq.fit.balance.base", "from mtl_seq.fit.optim import DenseAdam"),
        ("mtl_seq.report.compute.metrics", "from mtl_seq.report.render import html"),
        ("mtl_seq.data.csv.reader", "from mtl_seq.data.loaders.batch import BatchLoader"),
        ("mtl_seq.nn.compose.compose_joints", "from mtl_seq.nn import MMoE"),
    ],
)
def test_the_check_sees_a_violation(module, source):
    assert violations(module, source)


@pytest.mark.parametrize("family", LAYERS)
def test_every_folder_and_file_has_a_layer(family):
    members = {path.stem for path in (PACKAGE / family).glob("*.py")}
    members |= {path.parent.name for path in (PACKAGE / family).glob("*/__init__.py")}
    expected = set().union(*LAYERS[family])
    assert members == expected


def test_a_package_with_sub_folders_has_layers():
    folders = {path.relative_to(PACKAGE).parts[0] for path in PACKAGE.glob("*/*/__init__.py")}
    assert folders == set(LAYERS) - {""}


def file_of(module: str) -> Path:
    """``mtl_seq.nn`` is its ``__init__.py``; a name within a module is that module."""
    path = ROOT / module.replace(".", "/")
    if (path / "__init__.py").is_file():
        return path / "__init__.py"
    file = path.with_suffix(".py")
    return file if file.is_file() else file_of(module.rpartition(".")[0])


def test_no_files_import_each_other_in_a_circle():
    graph = {
        path: {file_of(module) for module in imported(path.read_text(encoding="utf-8"))} - {path}
        for path in FILES
    }
    assert len(list(TopologicalSorter(graph).static_order())) == len(FILES)


@pytest.mark.parametrize("family", [*PUBLIC, "cli", ""])
def test_no_file_stem_occurs_twice_in_a_family(family):
    paths = (PACKAGE / family).rglob("*.py") if family else PACKAGE.glob("*.py")
    stems = Counter(path.stem for path in paths)
    assert [s for s, n in stems.items() if n > 1 and s not in ("base", "__init__")] == []


@pytest.mark.parametrize("package", ["", *PUBLIC])
def test_dir_of_a_package_is_what_it_exports(package):
    module = importlib.import_module(f"mtl_seq.{package}".rstrip("."))
    assert sorted(dir(module)) == sorted(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


def test_every_package_is_a_public_name():
    private = {"cli"}
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} - private == set(PUBLIC)


def written_imports() -> list[tuple[str, str]]:
    """Page and imported path, of the import statements that a reader may copy."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    pages += sorted((ROOT / "examples").glob("*.py"))
    statement = re.compile(r"^\s*(?:>>> )?(?:from|import) (mtl_seq[\w.]*)", re.MULTILINE)
    return [
        (page.relative_to(ROOT).as_posix(), path)
        for page in pages
        for path in statement.findall(page.read_text(encoding="utf-8"))
    ]


def test_pages_and_examples_import_public_paths_only():
    lines = written_imports()
    assert len(lines) > 20
    assert [(page, path) for page, path in lines if path.count(".") > 1] == []
    public = {"mtl_seq", *(f"mtl_seq.{name}" for name in PUBLIC), "mtl_seq.errors"}
    assert [(page, path) for page, path in lines if path not in public] == []


def test_the_reference_names_public_paths_only():
    named = []
    for page in sorted((ROOT / "docs" / "api").glob("*.md")):
        named += re.findall(r"^::: (\S+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert {"mtl_seq", *(f"mtl_seq.{name}" for name in PUBLIC)} <= set(named)
    assert [name for name in named if name.count(".") > 1] == []


def test_nobody_makes_datasets_a_package():
    assert not list((ROOT / "datasets").rglob("__init__.py"))


@by_file
def test_files_stay_small(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


def required(arguments: ast.arguments) -> int:
    """How many arguments have no default, `self` and `cls` aside."""
    positional = [*arguments.posonlyargs, *arguments.args]
    free = positional[: len(positional) - len(arguments.defaults)]
    named = [
        a
        for a, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is None
    ]
    return len([a for a in [*free, *named] if a.arg not in ("self", "cls")])


@by_file
def test_no_function_has_more_than_six_required_arguments(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    assert [f.name for f in functions if required(f.args) > 6] == []
