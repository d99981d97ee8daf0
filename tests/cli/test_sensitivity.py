"""`mtl-seq sensitivity` as its users run it, on a log whose odds ratio is known."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from mtl_seq.cli import main
from mtl_seq.functional import odds_ratio_cvr
from mtl_seq.simulate import scenario

MNAR = 1.2


@pytest.fixture(scope="module")
def truth():
    return scenario("clean", mnar=MNAR).sample(4000, np.random.default_rng(0))[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A log, and as predictions the CVR on clicks, that over all impressions, and a third."""
    out = tmp_path_factory.mktemp("sensitivity")
    simulator = scenario("clean", mnar=MNAR)
    log, truth = simulator.sample(4000, np.random.default_rng(0))
    simulator.schema.to_json(out / "schema.json")
    log.to_parquet(out / "log.parquet")
    for name, pcvr in (
        ("clicks", truth.pcvr_clicked),
        ("truth", truth.pcvr),
        ("middle", (truth.pcvr_clicked + truth.pcvr) / 2),
    ):
        frame = pd.DataFrame({"pctr": truth.pctr, "pcvr": pcvr, "pctcvr": truth.pctcvr})
        frame.to_parquet(out / f"{name}.parquet")
    return out


def run(folder, *more, models=("clicks", "truth", "middle")):
    named = [f"{name}={folder / name}.parquet" for name in models]
    schema = ["--schema", str(folder / "schema.json")]
    return main(["sensitivity", str(folder / "log.parquet"), *named, *schema, *more])


def test_it_finds_where_each_model_is_right(folder, truth, capsys):
    """CVR on clicks is unbiased at 1, CVR over all impressions at the scenario's odds ratio."""
    assert run(folder, "--bias", "0.2", "--json") == 0
    content = json.loads(capsys.readouterr().out)
    models = {row["model"]: row for row in content["models"]}
    assert models["clicks"]["psi_unbiased"] == pytest.approx(1, rel=1e-9)
    assert models["truth"]["psi_unbiased"] == pytest.approx(math.exp(MNAR), rel=1e-9)
    # A model half-way between two is where those two are equally far off.
    tie, middle = models["truth"]["psi_tie"], models["middle"]["psi_unbiased"]
    assert tie == pytest.approx(middle, rel=1e-9)
    assert models["clicks"]["psi_tie"] is None
    for name, row in models.items():
        for end, sign in (("psi_low", -1), ("psi_high", 1)):
            at = odds_ratio_cvr(truth.pctr, truth.pctcvr, row[end])
            bias = row["mean_pcvr"] / float(at.mean()) - 1
            assert bias == pytest.approx(sign * 0.2, abs=1e-9), name


def test_it_prints_the_range_of_each_odds_ratio(folder, truth, capsys):
    assert run(folder) == 0
    printed = capsys.readouterr().out
    for gamma in (1.5, 2, 3):
        psi = (gamma, 1 / gamma)
        ends = [float(odds_ratio_cvr(truth.pctr, truth.pctcvr, x).mean()) for x in psi]
        (line,) = [text for text in printed.splitlines() if f"1/{gamma:g} and {gamma:g}" in text]
        assert [float(word.rstrip("%")) for word in line.split()[-2:]] == [
            round(100 * end, 2) for end in ends
        ]
    worst = [truth.pctcvr.mean(), (truth.pctcvr + 1 - truth.pctr).mean()]
    (line,) = [text for text in printed.splitlines() if "worst case" in text]
    assert line.split()[-2:] == [f"{end:.2%}" for end in worst]
    log = pd.read_parquet(folder / "log.parquet")
    assert f"observed CTR {log['click'].mean():.2%}" in " ".join(printed.split())


def test_it_draws_the_curve(folder, tmp_path, capsys):
    assert run(folder, "--out", str(tmp_path / "curve.png"), "--quiet") == 0
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""
    assert (tmp_path / "curve.png").read_bytes()[:4] == b"\x89PNG"


def test_base_and_control_can_be_chosen(folder, capsys):
    assert run(folder, "--base", "truth", "--control", "middle", "--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["base"], content["control"]) == ("truth", "middle")
    ties = {row["model"]: row["psi_tie"] for row in content["models"]}
    assert ties["middle"] is None
    assert ties["clicks"] > 1


def test_predictions_of_others_are_read_by_their_own_names(folder, tmp_path, capsys):
    log = pd.read_parquet(folder / "log.parquet").assign(row=lambda x: x.index + 10)
    log.to_parquet(tmp_path / "log.parquet")
    frame = pd.read_parquet(folder / "truth.parquet").assign(row=log["row"])
    theirs = frame.rename(columns={"pcvr": "score"})[::-1]
    theirs.to_parquet(tmp_path / "theirs.parquet")
    files = [str(tmp_path / "log.parquet"), f"theirs={tmp_path / 'theirs.parquet'}"]
    more = ["--schema", str(folder / "schema.json"), "--row-id", "row", "--json"]
    assert main(["sensitivity", *files, *more, "--column", "theirs.pcvr=score"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["models"]
    assert row["psi_unbiased"] == pytest.approx(math.exp(MNAR), rel=1e-9)


def test_help_shows_an_example_and_the_common_options(capsys):
    assert main(["sensitivity", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "Example: mtl-seq sensitivity " in shown
    for option in ("--seed", "--quiet", "--json", "--help"):
        assert option in shown


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--bias", "0"], "`--bias` must lie in (0, 1)"),
        (["--base", "nobody"], "`--base` must be one of clicks, truth, middle, found 'nobody'"),
        (["--control", "nobody"], "`--control` must be one of"),
        (["more.parquet"], "NAME=FILE"),
        (["clicks=more.parquet"], "different names"),
        (["other=nowhere.parquet"], "nowhere.parquet"),
    ],
)
def test_bad_options_are_one_line(more, said, folder, capsys):
    assert run(folder, *more) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ")
    assert said in line


def test_a_joint_above_its_click_is_refused(folder, truth, tmp_path, capsys):
    frame = pd.read_parquet(folder / "clicks.parquet")
    frame.loc[[3, 7], "pctcvr"] = frame["pctr"] * 1.5
    frame.to_parquet(tmp_path / "bad.parquet")
    assert run(folder, f"bad={tmp_path / 'bad.parquet'}", "--base", "bad") == 2
    assert "2 rows (first: 3, 7)" in capsys.readouterr().err
