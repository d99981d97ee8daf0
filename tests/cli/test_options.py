"""Every public builder and every bottom can be named on the command line."""

import inspect
import json
from typing import get_args

import pytest

from mtl_seq import models, nn
from mtl_seq.cli import main
from mtl_seq.cli.options import BOTTOMS, BUILDERS, Bottom, builder, builders


def test_every_builder_has_its_name():
    public = {name: getattr(models, name) for name in models.__all__}
    found = {name for name, part in public.items() if inspect.isfunction(part)} - {"assemble"}
    assert set(BUILDERS) == found
    assert {"shared_bottom", "omoe", "mmoe", "ple", "single_task", "esmm_ns"} <= found
    for name in found:
        assert builder(name) is public[name]


def test_every_bottom_has_its_name():
    assert set(BOTTOMS) == set(get_args(Bottom))
    concrete = {
        part
        for part in (getattr(nn, name) for name in nn.__all__)
        if inspect.isclass(part) and issubclass(part, nn.Bottom) and part is not nn.Bottom
    }
    assert set(BOTTOMS.values()) == concrete


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("options")
    arguments = ["simulate", "--scenario", "clean", "--rows", "3000", "--out", str(folder)]
    assert main([*arguments, "--quiet"]) == 0
    return folder


@pytest.mark.parametrize(
    "chosen",
    [
        ["--model", "ple"],
        ["--model", "esmm", "--bottom", "omoe"],
        ["--model", "escm2_dr", "--bottom", "ple"],
        ["--model", "esmm_ns"],
    ],
)
def test_a_model_is_fitted_by_its_name_and_scores(chosen, simulator, tmp_path, capsys):
    log, model = str(simulator / "log.parquet"), str(tmp_path / "model")
    arguments = ["fit", log, "--schema", str(simulator / "schema.json"), "--out", model, *chosen]
    assert main([*arguments, "--epochs", "1", "--quiet", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == chosen[1]
    assert main(["predict", model, log, "--out", str(tmp_path / "s.parquet"), "--quiet"]) == 0


def test_models_beyond_the_default_can_be_compared(tmp_path, capsys):
    arguments = ["compare", "--scenario", "clean", "--rows", "3000", "--test-rows", "2000"]
    chosen = ["--models", "shared_bottom,single_task", "--out", str(tmp_path), "--quiet", "--json"]
    assert main([*arguments, *chosen]) == 0
    assert json.loads(capsys.readouterr().out)["models"] == ["shared_bottom", "single_task"]


def test_all_models_are_those_of_clicks_and_conversions():
    """What needs another funnel, or clicks of a feature's own, is not compared on every log."""
    found = builders("all")
    assert list(found)[:6] == [
        "click_space",
        "multitask",
        "esmm",
        "escm2_ips",
        "escm2_dr",
        "oracle",
    ]
    assert set(BUILDERS) - set(found) == {"esm2", "esmm_dependent", "esmm_gaussian"}
    assert {"snips", "multi_dr", "mrdr", "dcmt", "nise", "ddpo", "chorus_cvr"} <= set(found)
    assert builders(" esmm, ips,") == {"esmm": models.esmm, "ips": models.ips}


@pytest.mark.slow
def test_all_models_can_be_compared(tmp_path, capsys):
    arguments = ["compare", "--scenario", "clean", "--rows", "3000", "--test-rows", "1000"]
    chosen = ["--models", "all", "--out", str(tmp_path), "--quiet", "--json"]
    assert main([*arguments, *chosen]) == 0
    assert json.loads(capsys.readouterr().out)["models"] == list(builders("all"))
