"""`mtl-seq study` as its users run it."""

import json

import pytest

from mtl_seq.cli import main
from mtl_seq.experiments.estimators import study_estimators
from mtl_seq.simulate import scenario

SMALL = ["--scenario", "clean", "--rows", "3000", "--fit-rows", "3000", "--replicates", "20"]


def test_the_study_is_printed_and_written(tmp_path, capsys):
    arguments = ["study", "estimators", *SMALL, "--set", "rho=0.5", "--seed", "2"]
    arguments += ["--floor", "0.2", "--floor", "0.05"]
    assert main([*arguments, "--out", str(tmp_path / "s")]) == 0
    captured = capsys.readouterr()
    for text in ("naive", "SNIPS", "self-normalised DR", "learned", "all impressions"):
        assert text in captured.out
    assert "estimators.png" in captured.err
    content = json.loads((tmp_path / "s" / "estimators.json").read_text())
    assert content["metadata"]["scenario"] == "clean with rho=0.5"
    simulator = scenario("clean", rho=0.5, seed=2)
    sizes = {"rows": 3000, "fit_rows": 3000, "replicates": 20}
    expected = study_estimators(simulator, **sizes, floors=[0.2, 0.05], seed=2)
    assert content["rows"] == expected.to_dict()["rows"]
    ips = expected.row("mean CVR", "IPS", "constant")
    assert f"{100 * ips['analytic_bias'] / ips['truth']:+.2f}" in captured.out
    assert (tmp_path / "s" / "estimators.png").read_bytes()[:4] == b"\x89PNG"


def test_json_is_one_document(tmp_path, capsys):
    out = ["--out", str(tmp_path), "--json", "--quiet"]
    assert main(["study", "estimators", *SMALL, *out]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    rows = json.loads(captured.out)["rows"]
    assert {row["estimand"] for row in rows} == {"log loss", "mean CVR"}


def test_help_shows_an_example_and_the_common_options(capsys):
    assert main(["study", "estimators", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Example: mtl-seq study estimators " in shown
    for option in ("--seed", "--quiet", "--json", "--help"):
        assert option in shown
    assert main(["study", "--help"]) == 0
    assert "estimators" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["study"], "Missing command"),
        (["study", "networks"], "No such command 'networks'"),
        (["study", "estimators"], "--out"),
        (["study", "estimators", "--scenario", "foggy", "--out", "{out}"], "known are aliccp"),
        (["study", "estimators", "--replicates", "1", "--out", "{out}"], "--replicates"),
        (
            ["study", "estimators", *SMALL, "--floor", "0", "--out", "{out}"],
            "`floors` must lie in (0, 1), found 0",
        ),
        (["study", "estimators", "--out", "{file}"], "must be a folder"),
    ],
)
def test_bad_options_are_one_line(arguments, said, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    places = {"out": tmp_path / "o", "file": tmp_path / "file"}
    assert main([argument.format(**places) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ")
    assert said in line
    assert not (tmp_path / "o").exists()
