"""docs/simulator.md names every parameter and shows the kept figures of every named scenario."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from mtl_seq import simulate
from mtl_seq.simulate.logistic.parameters import MECHANISMS, Parameters

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "simulator.md").read_text(encoding="utf-8")
KEPT = json.loads((ROOT / "benchmarks" / "results" / "scenarios.json").read_text(encoding="utf-8"))
SHOWN = 6


@pytest.mark.parametrize(
    "parameter",
    [field.name for field in fields(Parameters) if field.name not in MECHANISMS]
    + [f"{name}.{field.name}" for name, kind in MECHANISMS.items() for field in fields(kind)],
)
def test_every_parameter_has_its_row(parameter):
    assert re.search(rf"^\| [^|]*`{re.escape(parameter)}`", PAGE, flags=re.MULTILINE)


def test_the_table_of_scenarios_is_the_kept_result():
    rows = dict(re.findall(r"^\| `(\w+)` \| (.* \| .*) \|$", PAGE.split("## Named")[1], re.M))
    assert set(rows) == set(simulate.scenarios()) == set(KEPT["scenarios"])
    for name, row in rows.items():
        kept = [f"{value:g}" for value in list(KEPT["scenarios"][name].values())[:SHOWN]]
        assert row.split(" | ") == [simulate.scenarios()[name], *kept]


def test_pictures_are_there():
    for picture in re.findall(r"\]\((simulator/.*?\.png)\)", PAGE):
        assert (ROOT / "docs" / picture).stat().st_size > 10_000
