"""`mtl-seq evaluate` with predictions from anywhere, segments, random rows, and an older report."""

import json

import numpy as np
import pandas as pd
import pytest

from mtl_seq.cli import main
from mtl_seq.data import truth_to_frame, write_frame
from mtl_seq.simulate import LogisticFunnel


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    """A log with ids and a random slice, its truth, and predictions named in another way."""
    folder = tmp_path_factory.mktemp("evaluate")
    made = LogisticFunnel(users=60, items=40, cvr=0.08, seed=0)
    log, truth = made.sample(3000, np.random.default_rng(1))
    log["impression"] = np.arange(len(log)) + 10**12
    log["at_random"] = np.arange(len(log)) % 4 == 0
    write_frame(log, folder / "log.parquet")
    write_frame(truth_to_frame(truth), folder / "truth.parquet")
    made.schema.to_json(folder / "schema.json")
    exact = pd.DataFrame({"pctr": truth.pctr, "pcvr": truth.pcvr, "pctcvr": truth.pctcvr})
    write_frame(exact, folder / "exact.parquet")
    theirs = pd.DataFrame(
        {"impression": log["impression"], "p_click": truth.pctr, "p_buy": 1.3 * truth.pcvr}
    )
    assert theirs["p_buy"].max() < 1
    write_frame(theirs.iloc[::-1].reset_index(drop=True), folder / "theirs.parquet")
    write_frame(
        exact.assign(impression=log["impression"]).sample(frac=1, random_state=0),
        folder / "shuffled.parquet",
    )
    return folder


def run(simulator, out, *arguments):
    files = [str(simulator / "log.parquet"), "--schema", str(simulator / "schema.json")]
    given = ["evaluate", *files, "--out", str(out), "--replicates", "20", *map(str, arguments)]
    return main(given)


def figure(content, *at):
    keys = ("model", "quantity", "space", "metric")
    (row,) = [r for r in content["metrics"] if tuple(r[key] for key in keys) == at]
    return row["value"]


MAPPED = (
    "--column",
    "theirs.pctr=p_click",
    "--column",
    "theirs.pcvr=p_buy",
    "--row-id",
    "impression",
)


def test_predictions_from_elsewhere_are_mapped_and_matched(simulator, tmp_path, capsys):
    models = [f"exact={simulator / 'shuffled.parquet'}", f"theirs={simulator / 'theirs.parquet'}"]
    assert run(simulator, tmp_path, *models, *MAPPED, "--truth", simulator / "truth.parquet",
               "--control", "exact", "--json") == 0  # fmt: skip
    content = json.loads(capsys.readouterr().out)
    bias = ("pcvr", "all", "relative_bias")
    assert figure(content, "exact", *bias) == pytest.approx(0, abs=1e-12)
    assert figure(content, "theirs", *bias) == pytest.approx(0.3, rel=1e-9)
    assert content["control"] == "exact"
    assert {row["control"] for row in content["differences"]} == {"exact"}


def test_segments_and_random_rows_are_reported_and_printed(simulator, tmp_path, capsys):
    given = [f"exact={simulator / 'exact.parquet'}", "--by", "user_tier", "--by", "price"]
    assert (
        run(simulator, tmp_path, *given, "--random", "at_random", "--checkpoint-rule", "the last")
        == 0
    )
    printed = capsys.readouterr().out
    content = json.loads((tmp_path / "report.json").read_text())
    assert {row["by"] for row in content["segments"]} == {"user_tier", "price"}
    rows = [r for r in content["segments"] if r["by"] == "user_tier" and r["space"] == "clicks"]
    assert sum(row["rows"] for row in rows) == content["metadata"]["clicks"]
    assert {row["slice"] for row in content["random"]} == {"random", "rest"}
    assert "by user_tier" in printed
    assert "unbiased at psi" in printed
    assert content["metadata"]["checkpoint rule"] == "the last"
    written = {file.name for file in tmp_path.iterdir()}
    assert {"segments_user_tier.png", "segments_price.png", "sensitivity.png"} <= written


def test_an_earlier_report_is_compared_even_where_it_is_replaced(simulator, tmp_path, capsys):
    assert run(simulator, tmp_path, f"m={simulator / 'exact.parquet'}", "--quiet") == 0
    mapped = ("--column", "pctr=p_click", "--column", "pcvr=p_buy", "--row-id", "impression")
    older = ("--compare", tmp_path / "report.json")
    assert run(simulator, tmp_path, f"m={simulator / 'theirs.parquet'}", *mapped, *older) == 0
    printed = capsys.readouterr().out
    content = json.loads((tmp_path / "report.json").read_text())
    rows = content["changes"]["metrics"]
    changed = {(row["quantity"], row["space"], row["metric"]): row for row in rows}
    at = changed["pctcvr", "all", "pcoc"]
    assert at["after"] == pytest.approx(1.3 * at["before"], rel=1e-9)
    assert changed["pctr", "all", "auc"]["change"] == 0
    row = " ".join(next(line for line in printed.splitlines() if "CTCVR PCOC, all" in line).split())
    assert row.startswith(
        f"CTCVR PCOC, all m {at['before']:.3f} {at['after']:.3f} {at['change']:+.3f}"
    )
    assert "What changed since the older report" in (tmp_path / "report.html").read_text()


def test_undefined_figures_are_printed_with_their_reason(simulator, tmp_path, capsys):
    log = pd.read_parquet(simulator / "log.parquet").assign(click=0, conversion=0)
    write_frame(log, tmp_path / "log.parquet")
    schema = ["--schema", str(simulator / "schema.json"), "--out", str(tmp_path / "r")]
    scores = f"exact={simulator / 'exact.parquet'}"
    assert main(["evaluate", str(tmp_path / "log.parquet"), scores, *schema]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "n/a" in printed
    assert "not defined: CVR AUC, clicks: no rows in space 'clicks' (exact)" in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["m=exact", "--by", "colour"], "`by` must name a column of the log, found 'colour'"),
        (["m=exact", "--random", "click"], None),
        (["m=exact", "--random", "lottery"], "`random` must name a column"),
        (
            ["m=exact", "--random", "at_random", "--truth", "truth"],
            "`--random` and `--truth` exclude each other",
        ),
        (["m=exact", "--control", "x"], "`control` must be one of the models ['m'], found 'x'"),
        (["m=exact", "--column", "pcvr"], "[MODEL.]QUANTITY=COLUMN"),
        (["m=exact", "--column", "x.pcvr=a"], "must name one of the models ['m'], found 'x'"),
        (["m=exact", "--column", "cvr=a"], "must map ('pctr', 'pcvr', 'pctcvr')"),
        (["m=exact", "--row-id", "impression"], "`row_id` = 'impression'"),
        (["m=truth"], "this is a truth, not predictions"),
        (["m=theirs"], "must have the columns ['pctr', 'pcvr', 'pctcvr']"),
        (["m=exact", "m=exact"], "different names"),
        (["m=exact", "--truth", "exact"], "a truth must hold the columns"),
        (["m=exact", "--compare", "schema.json"], "must be of kind 'mtl_seq.bias_report'"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(arguments, said, simulator, tmp_path, capsys):
    named = {name: simulator / f"{name}.parquet" for name in ("exact", "theirs", "truth")}
    named["schema.json"] = simulator / "schema.json"
    given = []
    for text in arguments:
        model, sign, file = text.partition("=")
        is_file = sign and file in named
        given.append(f"{model}={named[file]}" if is_file else str(named.get(text, text)))
    code = run(simulator, tmp_path / "r", *given)
    captured = capsys.readouterr()
    if said is None:  # a column of 0 and 1 is a mark, whatever it is called
        assert code == 0
        return
    assert code == 2
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert said in captured.err
    assert not (tmp_path / "r").exists()
