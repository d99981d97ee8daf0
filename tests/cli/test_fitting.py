"""`mtl-seq fit --balance` and `--calibrate`."""

import json
import sys
from functools import partial

import pandas as pd
import pytest

from mtl_seq import FunnelEstimator, Schema, models
from mtl_seq.cli import main
from mtl_seq.cli.fit_options import balance_named
from mtl_seq.fit import DWA, GradNorm, JacobianDescent, Uncertainty
from mtl_seq.models import CalibrationConfig


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitting")
    arguments = ["simulate", "--scenario", "clean", "--rows", "3000", "--out", str(folder)]
    assert main([*arguments, "--quiet"]) == 0
    return folder


def fit(simulator, out, *more):
    log, schema = str(simulator / "log.parquet"), str(simulator / "schema.json")
    fixed = ["--schema", schema, "--out", str(out), "--epochs", "1", "--validation", "0.3"]
    model = [] if "--model" in more else ["--model", "esmm"]
    return main(["fit", log, *fixed, *model, *more])


def fails(simulator, out, capsys, *more):
    """The one line on standard error; nothing is written."""
    assert fit(simulator, out, "--quiet", *more) == 2
    assert not out.exists()
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert captured.out == ""
    return line


def in_python(simulator, model, **settings):
    """The same fit in one call."""
    schema = Schema.from_json(simulator / "schema.json")
    estimator = FunnelEstimator(model, schema, epochs=1, validation=0.3, **settings)
    return estimator.fit(simulator / "log.parquet")


def test_a_calibrated_fit_is_that_of_python_and_says_so(simulator, tmp_path, capsys):
    assert fit(simulator, tmp_path / "m", "--calibrate", "platt") == 0
    said = capsys.readouterr().err
    expected = in_python(simulator, models.esmm, calibrate=CalibrationConfig("platt"))
    loaded = FunnelEstimator.load(tmp_path / "m")
    assert loaded.calibration_ == expected.calibration_
    assert f"pCVR calibrated: {expected.calibration_}" in said
    log = pd.read_parquet(simulator / "log.parquet")
    pd.testing.assert_frame_equal(loaded.predict(log), expected.predict(log))


def test_nothing_is_calibrated_or_balanced_unasked(simulator, tmp_path, capsys):
    assert fit(simulator, tmp_path / "m", "--json", "--quiet") == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["calibration"], content["settings"]["balance"]) == (None, None)
    loaded = FunnelEstimator.load(tmp_path / "m")
    assert (loaded.calibration_, loaded.balance) == (None, None)


def test_a_counterfactual_model_is_weighted_without_being_told(simulator, tmp_path, capsys):
    more = ["--model", "escm2_ips", "--calibrate", "shift", "--json", "--quiet"]
    assert fit(simulator, tmp_path / "m", *more) == 0
    content = json.loads(capsys.readouterr().out)["calibration"]
    assert content["weighted"]
    assert content["effective_size"] < content["rows"]
    assert content == FunnelEstimator.load(tmp_path / "m").calibration_.to_dict() | {
        "points": [],
        "values": [],
    }


@pytest.mark.parametrize("model", ["escm2_ips", "escm2_dr", "unbias"])
def test_the_plain_form_is_refused_for_a_model_that_debiases(model, simulator, tmp_path, capsys):
    more = ["--model", model, "--calibrate", "shift", "--calibrate-plain"]
    line = fails(simulator, tmp_path / "m", capsys, *more)
    assert "is refused for a model that debiases" in line
    assert "pulls pCVR back to what clicks alone show and undoes the model" in line


def test_the_plain_form_is_that_of_a_model_that_does_not(simulator, tmp_path, capsys):
    more = ["--calibrate", "shift", "--json", "--quiet"]
    found = []
    for index, how in enumerate(([], ["--calibrate-plain"], ["--calibrate-weighted"])):
        assert fit(simulator, tmp_path / str(index), *more, *how) == 0
        found.append(json.loads(capsys.readouterr().out)["calibration"])
    assert found[0] == found[1]
    assert [one["weighted"] for one in found] == [False, False, True]
    assert found[0]["intercept"] != found[2]["intercept"]


def test_a_ranker_and_a_weight_without_calibration_are_refused(simulator, tmp_path, capsys):
    ranker = ["--model", "pairwise_ranker", "--calibrate", "shift"]
    assert "only rank" in fails(simulator, tmp_path / "m", capsys, *ranker)
    for how in ("--calibrate-plain", "--calibrate-weighted"):
        assert "add `--calibrate shift`" in fails(simulator, tmp_path / "m", capsys, how)
    assert "isotonic" in fails(simulator, tmp_path / "m", capsys, "--calibrate", "beta")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("uncertainty", Uncertainty),
        ("dwa", partial(DWA, steps=100)),
        ("gradnorm", GradNorm),
        ("PCGrad", partial(JacobianDescent, aggregator="PCGrad")),
    ],
)
def test_a_balanced_fit_is_that_of_python(name, expected, simulator, tmp_path, capsys):
    if name == "PCGrad":
        pytest.importorskip("torchjd")
    assert fit(simulator, tmp_path / "m", "--balance", name, "--json", "--quiet") == 0
    balance = json.loads(capsys.readouterr().out)["settings"]["balance"]
    own = {"uncertainty": "Uncertainty", "dwa": "DWA", "gradnorm": "GradNorm"}
    assert balance["name"] == f"mtl_seq.fit.balance.{own.get(name, 'JacobianDescent')}"
    assert balance.get("partial", {}).get("aggregator", name) == name
    log = pd.read_parquet(simulator / "log.parquet")
    scores = FunnelEstimator.load(tmp_path / "m").predict(log)
    wanted = in_python(simulator, models.esmm, balance=expected)
    pd.testing.assert_frame_equal(scores, wanted.predict(log))


@pytest.mark.filterwarnings("ignore:You are solving a parameterized problem")
@pytest.mark.parametrize("name", ["CAGrad", "GradVac", "NashMTL", "UPGrad"])
def test_every_aggregator_of_the_help_can_be_built_from_its_name(name):
    pytest.importorskip("torchjd")
    pytest.importorskip({"CAGrad": "clarabel", "NashMTL": "ecos"}.get(name, "qpsolvers"))
    assert isinstance(balance_named(name)(("ctr", "cvr", "ctcvr")), JacobianDescent)


def test_a_balance_that_is_none_is_refused_before_the_log_is_read(
    simulator, tmp_path, capsys, monkeypatch
):
    def read(*_):
        raise AssertionError("the log was read")

    monkeypatch.setattr("mtl_seq.fit.prepare.in_memory.read_frame", read)
    pytest.importorskip("torchjd")
    line = fails(simulator, tmp_path / "m", capsys, "--balance", "magic")
    assert "`--balance` must be one of uncertainty, dwa, gradnorm or an aggregator" in line
    assert "found 'magic'" in line
    monkeypatch.setitem(sys.modules, "torchjd", None)
    line = fails(simulator, tmp_path / "m", capsys, "--balance", "PCGrad")
    assert "pip install 'mtl_seq[balance]'" in line


def test_towers_that_share_nothing_have_nothing_to_balance(simulator, tmp_path, capsys):
    more = ["--model", "esmm_ns", "--balance", "gradnorm"]
    assert "share none" in fails(simulator, tmp_path / "m", capsys, *more)
