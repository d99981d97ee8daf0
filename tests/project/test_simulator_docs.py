"""docs/simulator.md names every parameter and every named scenario."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from benchmarks.lib.results_store import read
from mtl_seq import simulate
from mtl_seq.simulate.logistic.parameters import MECHANISMS, Parameters

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "simulator.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "parameter",
    [field.name for field in fields(Parameters) if field.name not in MECHANISMS]
    + [f"{name}.{field.name}" for name, kind in MECHANISMS.items() for field in fields(kind)],
)
def test_every_parameter_has_its_row(parameter):
    assert re.search(rf"^\| [^|]*`{re.escape(parameter)}`", PAGE, flags=re.MULTILINE)


def test_the_table_of_scenarios_has_every_named_one():
    assert [cell["scenario"] for cell in read("scenarios").cells] == list(simulate.scenarios())


def test_pictures_are_there():
    for picture in re.findall(r"\]\((simulator/.*?\.png)\)", PAGE):
        assert (ROOT / "docs" / picture).stat().st_size > 10_000
