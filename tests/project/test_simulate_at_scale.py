"""The page on simulating at scale links to what is there, and runs."""

import re
import shlex
from pathlib import Path

from mtl_seq.cli import main
from mtl_seq.simulate import read_shards

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "simulate_at_scale.md").read_text(encoding="utf-8")


def test_every_file_it_links_to_is_there():
    targets = [t for t in re.findall(r"\]\(([^)#]+)\)", PAGE) if not t.startswith("http")]
    assert targets
    for target in targets:
        assert (ROOT / "docs" / target).is_file(), target


def test_its_commands_run_on_fewer_rows(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = [
        line
        for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
        for line in block.splitlines()
    ]
    assert len(lines) == 6
    smaller = {"50000000": "9000 --shard-rows 3000", "2000000": "4000", "200000": "9000"}
    for line in lines:
        for rows, fewer in smaller.items():
            line = line.replace(f"rows {rows}", f"rows {fewer}")
        line = line.replace("mtl-seq scenarios", "mtl-seq scenarios --rows 0")
        # The rates of Ali-CCP leave next to no conversions in so few rows.
        line = line.replace("--scenario aliccp", "--scenario clean")
        assert main(shlex.split(line, comments=True)[1:]) == 0, line
    assert sum(len(log) for log, _ in read_shards("simulated")) == 9000
    assert Path("report/report.html").is_file()
    assert Path("look/describe.png").is_file()
