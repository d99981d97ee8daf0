"""Every example runs at a small size, is short, and says what is so."""

import importlib.util
import re
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name, *arguments):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.main([str(argument) for argument in arguments]) == 0


def test_every_example_is_short_and_has_a_test():
    here = Path(__file__).read_text(encoding="utf-8")
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) < 60, path
        assert f'run("{path.stem}"' in here, path


def test_own_loop_comes_to_the_logs_rates(capsys):
    run("own_loop", "--rows", 12_000)
    said = capsys.readouterr().out
    found, true = map(float, re.search(r"pCTR ([.\d]+) \(true ([.\d]+)\)", said).groups())
    assert found == pytest.approx(true, rel=0.25)
    assert {"ctr", "cvr", "ctcvr"} == set(re.findall(r"'(\w+)':", said))


def test_a_dataframe_is_fitted_saved_and_loaded(tmp_path, capsys):
    run("fit_a_dataframe", "--rows", 4_000, "--out", tmp_path / "model")
    said = capsys.readouterr().out
    assert re.search(r"pctr\s+pcvr\s+pctcvr", said)
    assert "the same once loaded: True" in said


def test_bias_is_compared_against_the_truth(tmp_path, capsys):
    run("compare_bias", "--rows", 20_000, "--test-rows", 5_000, "--out", tmp_path)
    said = capsys.readouterr().out
    for name in ("click_space", "multitask", "esmm", "escm2_dr", "oracle"):
        assert re.search(rf"^{name}\s", said, re.MULTILINE)
    assert (tmp_path / "bias.png").stat().st_size > 10_000
    assert "<svg" in (tmp_path / "bias.html").read_text()


def test_a_simulation_at_scale_is_read_back_whole(tmp_path, capsys):
    sizes = ("--rows", 30_000, "--shard-rows", 10_000, "--workers", 1)
    run("simulate_at_scale", *sizes, "--out", tmp_path / "scenario")
    said = capsys.readouterr().out
    assert "over 30,000 impressions" in said
    # A hidden confounder that moves both: clicks convert more often than impressions would.
    assert float(re.search(r"off by \+([.\d]+)%", said).group(1)) > 20


def test_esm2_is_beside_esmm_on_the_same_rows(capsys):
    run("esm2_cart", "--rows", 12_000)
    said = capsys.readouterr().out
    assert "click -> cart -> conversion|cart -> conversion|other" in said
    for name in ("esm2", "esmm", "multitask"):
        assert re.search(rf"^{name}\s", said, re.MULTILINE)


def test_a_dependence_is_looked_for_beside_its_uncertainty(capsys):
    run("position_dependence", "--rows", 12_000)
    said = capsys.readouterr().out
    assert "only the click tower sees: position" in said
    assert re.search(r"log odds ratio -?[.\d]+ \+- [.\d]+: \w+", said)
    biases = dict(re.findall(r"^(\w+)\s+([-+.\d]+%?)", said, re.MULTILINE))
    assert {"multitask", "esmm", "esmm_dependent", "oracle"} <= set(biases)
