"""The guide builds without a warning and runs as it stands."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from mtl_seq import BiasReport, FunnelEstimator, fusion, models, simulate
from mtl_seq.cli import main
from mtl_seq.data import BatchLoader
from mtl_seq.experiments.compare import ALL
from mtl_seq.records import FunnelLabels

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# A page's sizes are those one would use; here they are these.
SMALLER = {"50_000_000": "6_000", "200_000": "6_000", "20_000": "8_000", "100_000": "3_000"}


def blocks(page):
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)


PAGES = [page for page in sorted(DOCS.rglob("*.md")) if blocks(page)]


@pytest.fixture(scope="module")
def log():
    """A log, its truth, and two models fitted to it: what pages that begin in the middle assume."""
    simulator = simulate.scenario("clean", seed=0)
    frame, truth = simulator.sample(6_000, np.random.default_rng(0))
    builders = {"esmm": models.esmm, "multitask": models.multitask}
    fitted = {
        name: FunnelEstimator(build, simulator.schema, seed=0).fit(frame)
        for name, build in builders.items()
    }
    return simulator, frame, truth, fitted


@pytest.fixture
def assumed(log, tmp_path):
    """Names that a page may use without having made them."""
    simulator, frame, truth, fitted = log
    model, codec = fitted["esmm"].model_, fitted["esmm"].codec_
    batch = codec.encode(frame)
    prediction = model(batch.features)
    scores = {name: estimator.predict(frame) for name, estimator in fitted.items()}
    renamed = {"pctr": "p_click", "pcvr": "p_buy"}
    elsewhere = scores["multitask"].rename(columns=renamed).drop(columns="pctcvr")
    ids = frame["row_id"] if "row_id" in frame else np.arange(len(frame))
    numbered = frame.assign(impression_id=np.asarray(ids))
    elsewhere.assign(impression_id=np.asarray(ids)).to_parquet(tmp_path / "lightgbm.parquet")
    labels = FunnelLabels(batch.labels.stages)
    return {
        "np": np, "BiasReport": BiasReport, "fusion": fusion, "models": models,
        "simulate": simulate, "scenario": simulator, "log": numbered, "truth": truth,
        "train": frame, "valid": frame, "test": frame,
        "schema": simulator.schema, "scores": scores, "a": fitted["esmm"], "b": fitted["multitask"],
        "ours": scores["esmm"].assign(impression_id=np.asarray(ids)),
        "model": model, "features": batch.features, "labels": labels,
        "loader": BatchLoader(batch, 512),
        "pcvr": prediction.pcvr.detach(), "conversion": labels.conversion, "click": labels.click,
        "weight": np.ones(len(frame)),
    }  # fmt: skip


# Pages whose shell lines begin with a scenario of their own.
@pytest.mark.filterwarnings("ignore::mtl_seq.errors.SelectionWarning")
@pytest.mark.parametrize("page", ["dependence.md", "deploying.md"])
def test_the_shell_lines_of_a_page_run_one_after_the_other(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (DOCS / page).read_text(encoding="utf-8")
    lines = "".join(re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)).splitlines()
    assert lines[0].startswith("mtl-seq simulate ")
    for line in lines:
        fewer = re.sub(r"--(rows|test-rows) \d+", r"--\1 4000", line)
        assert main(shlex.split(fewer, comments=True)[1:]) == 0, line
    assert len(pd.read_parquet("scores.parquet")) == 4000


# Lightning's remarks on devices, workers and torch, of which `fit` spares its users.
@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")
@pytest.mark.filterwarnings("ignore::UserWarning:lightning")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_every_python_block_runs(page, assumed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for block in blocks(page):
        for size, smaller in SMALLER.items():
            block = block.replace(size, smaller)
        code = compile(block, page.name, "exec")
        needed = re.findall(r"^ *(?:from|import) (\w+)", block, flags=re.MULTILINE)
        missing = [name for name in needed if importlib.util.find_spec(name) is None]
        # Only a package that the block tells to install, such as dask, may be missing.
        documented = " ".join(re.findall(r"# pip install (.*)", block))
        assert not [name for name in missing if not re.search(rf"\b{name}\b", documented)]
        if not missing:
            exec(code, assumed)


def test_it_builds_offline_without_a_warning(tmp_path):
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT, env={**os.environ, **nowhere}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr[-2000:]
    models_page = (tmp_path / "api" / "models" / "index.html").read_text(encoding="utf-8")
    assert 'id="mtl_seq.models.escm2_dr"' in models_page
    for page in tmp_path.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?:[^"]+)"', text)
        assert not loaded, page


def test_every_page_of_the_navigation_is_there():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    named = [page for section in config["nav"] for entry in section.values() for page in entry]
    paths = [path for page in named for path in page.values()]
    assert len(paths) == len(set(paths))
    for path in paths:
        assert (DOCS / path).is_file(), path


def test_the_methods_page_has_every_model():
    page = (DOCS / "every_method.md").read_text(encoding="utf-8")
    bottoms = {"mmoe", "omoe", "ple", "shared_bottom", "single_task"}  # the control's others
    for name in {*ALL, "esm2", "esmm_dependent"} - bottoms:
        assert f"[mtl_seq.models.{name}]" in page, name
