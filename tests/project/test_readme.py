"""The README's code runs as it stands, in the order it stands."""

import re
import shlex
from pathlib import Path

import pytest

from benchmarks.leaderboard import claims
from mtl_seq.cli import main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The names that the Python blocks leave, run one after the other in an empty folder."""
    folder = tmp_path_factory.mktemp("readme")
    names = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for block in blocks("python"):
            exec(compile(block, "README.md", "exec"), names)
    return folder, names


def test_the_three_users_code_runs(ran):
    folder, names = ran
    assert tuple(names["prediction"].pctcvr.shape) == (256,)
    assert list(names["report"].table.index)[:5] == list(names["scores"])
    assert (folder / "bias.png").stat().st_size > 0
    assert "<svg" in (folder / "bias.html").read_text()
    assert "not identified" in names["observed"].title


def test_what_the_readme_says_of_its_scenario_is_so(ran):
    """ESMM overestimates; the oracle comes closest to the truth."""
    _, names = ran
    report = names["report"]
    assert report.estimate("esmm", "pcvr", "all", "relative_bias").low > 0.1
    losses = report.table["log loss", "all"]
    assert losses.idxmin() in ("oracle", "truth", "P(r | x, click)")
    assert losses[list(names["scores"])].idxmin() == "oracle"


def test_the_shell_lines_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [
        line for block in blocks("sh") for line in block.splitlines() if line.startswith("mtl-seq")
    ]
    assert len(lines) == 4
    for line in lines:
        assert main(shlex.split(line, comments=True)[1:]) == 0
    assert (tmp_path / "report" / "report.html").is_file()


def test_every_file_it_links_to_is_there():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (ROOT / target).is_file(), target


def test_every_make_target_it_names_is_there():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"\bmake ([a-z-]+)", README):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_the_ratios_it_states_are_those_of_the_kept_claims():
    table = claims.by_model()
    for interaction in claims.COMPARED:
        for name, ratio in claims.ratios(table, interaction).items():
            assert (interaction, name) == (0.1, "escm2_ips") or f"{ratio:.2f}" in README
