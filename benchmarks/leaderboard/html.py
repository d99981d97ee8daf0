"""The page of benchmarks/leaderboard/run.py: one HTML file that needs nothing else."""

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

__all__ = ["page"]

Shade = Callable[[float], float]
"""From a value how strongly its cell is shaded: 0 not at all, 1 orange, -1 blue."""


def page(made: Mapping[str, Any]) -> str:
    """Conclusions, standings, and every method in every scenario, from a kept leaderboard."""
    every = pd.DataFrame(made["by scenario"])
    order = [row["method"] for row in made["standings"]]
    order += [name for name in dict.fromkeys(every["method"]) if name not in order]
    grids = "".join(
        f"<h2>{escape(title)}</h2><p>{escape(note)}</p>"
        f"{_grid(every.assign(shown=factor * every[column].astype(float)), order, form, shade)}"
        for title, note, column, factor, form, shade in _GRIDS
    )
    left = made["cells left"]
    metadata = (
        f"{made['scenarios']} named scenarios; {made['settings']['rows']:,} impressions trained on, "
        f"{made['settings']['test_rows']:,} measured on; {_seeds(every)}. Every method is fitted "
        "with the estimator's defaults to the same rows of a seed. Figures are over all "
        f"impressions, against the true CVR. Checkpoint rule: {made['checkpoint_rule']}. "
        f"{made['noise'][0].upper()}{made['noise'][1:]}. Made by {made['command']}"
        + (f"; {left} cells left." if left else ".")
    )
    said = "".join(f"<li>{escape(line)}</li>" for line in made["conclusions"])
    absent, scenarios = _named(made["without standing"]), _named(made["scenarios"])
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Leaderboard</title>"
        f"<style>{_STYLE}</style><h1>Leaderboard</h1><p>{escape(metadata)}</p><ul>{said}</ul>"
        f"<h2>Standings</h2><p>{escape(_REGRET)}</p>{_standings(made['standings'])}"
        f"<p>Without standing:</p><ul>{absent}</ul><h2>Scenarios</h2><ul>{scenarios}</ul>{grids}</html>\n"
    )


def _named(said: Mapping[str, str]) -> str:
    return "".join(f"<li><b>{escape(name)}</b>: {escape(text)}</li>" for name, text in said.items())


def _regret(value: float) -> float:
    """Noise is a few tenths of a thousandth; from 30 thousandths on it is all one."""
    return math.log1p(max(value, 0) / 0.5) / math.log1p(30 / 0.5)


_REGRET = (
    "Regret: log loss of pCVR minus that of the best method of the scenario, in thousandths of a nat. "
    "Shaded: orange is worse."
)
_BIAS = "Of mean pCVR: the mean over the seeds of its absolute value."
_GAP = (
    "Share of the gap in log loss between naive (0) and oracle (1); n/a where the two are not told "
    "apart. Blue: closer to the oracle."
)
_GRIDS: Sequence[tuple[str, str, str, float, str, Shade | None]] = (
    ("Regret", _REGRET, "regret", 1e3, "{:.1f}", _regret),
    ("Mean |relative bias|", _BIAS, "mean |relative bias|", 1, "{:.0%}", abs),
    ("Gap closed", _GAP, "gap closed", 1, "{:.0%}", lambda share: -share),
    ("Rank", "By log loss, 1 is best.", "rank", 1, "{:.0f}", None),
    ("Log loss", "Of pCVR, in nats.", "log loss", 1, "{:.4f}", None),
    ("AUC", "Of pCVR against the true CVR.", "AUC", 1, "{:.4f}", None),
    ("Time", "Seconds of one thread to fit.", "seconds", 1, "{:.0f}", None),
)
_STANDINGS: Sequence[tuple[str, str, float, str]] = (
    ("mean regret", "mean regret", 1e3, "{:.2f}"),
    ("worst regret", "worst regret", 1e3, "{:.1f}"),
    ("worst in", "in", 1, "{}"),
    ("mean rank", "mean rank", 1, "{:.1f}"),
    ("mean |relative bias|", "mean |relative bias|", 1, "{:.0%}"),
    ("best in", "best in (scenarios)", 1, "{}"),
    ("worse than the control in", "worse than the control in (scenarios)", 1, "{}"),
    ("seconds", "time to fit (s)", 1, "{:.0f}"),
)
_STYLE = (
    "body{font:14px sans-serif;margin:2em auto;max-width:100em;padding:0 2em;color:#222}"
    "p{max-width:60em}li{max-width:60em}table{border-collapse:collapse}"
    "td,th{padding:.2em .6em;text-align:right;border-bottom:1px solid #eee}"
    "th:first-child{text-align:left;font-weight:normal}thead th{font-weight:bold}"
)


def _standings(rows: Sequence[Mapping[str, Any]]) -> str:
    head = "".join(f"<th>{escape(title)}</th>" for _, title, _, _ in _STANDINGS)
    body = ""
    for row in rows:
        cells = ""
        for column, _, factor, form in _STANDINGS:
            value = row[column]
            if isinstance(value, str):
                cells += f"<td>{escape(value)}</td>"
            else:
                shade = _regret(factor * value) if column.endswith("regret") else 0.0
                cells += _cell(None if value is None else factor * value, form, shade)
        body += f"<tr><th>{escape(row['method'])}</th>{cells}</tr>"
    return f"<table><thead><tr><th>method</th>{head}</tr></thead><tbody>{body}</tbody></table>"


def _grid(every: pd.DataFrame, order: Sequence[str], form: str, shade: Shade | None) -> str:
    scenarios = list(dict.fromkeys(every["scenario"]))
    values = every.set_index(["method", "scenario"])["shown"]
    head = "".join(f"<th>{escape(scenario)}</th>" for scenario in scenarios)
    body = ""
    for method in order:
        found = [values.get((method, scenario), math.nan) for scenario in scenarios]
        if all(math.isnan(value) for value in found):
            continue
        cells = "".join(
            _cell(None, form, 0)
            if math.isnan(value)
            else _cell(value, form, shade(value) if shade else 0)
            for value in found
        )
        body += f"<tr><th>{escape(method)}</th>{cells}</tr>"
    return f"<table><thead><tr><th>method</th>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: float | None, form: str, shade: float) -> str:
    if value is None:
        return "<td style='color:#999'>n/a</td>"
    colour, alpha = ("230,120,20" if shade > 0 else "0,114,178"), min(abs(shade), 1) * 0.6
    style = f" style='background:rgba({colour},{alpha:.2f})'" if alpha else ""
    shown = form.format(int(value) if form == "{}" else value).replace("-0%", "0%")
    return f"<td{style}>{shown}</td>"


def _seeds(every: pd.DataFrame) -> str:
    """Methods may have different numbers of seeds, and a scenario of which few cells are done too."""
    least = every.groupby("method", sort=False)["seeds"].min()
    parts = [
        f"{seeds} seeds ({', '.join(rows.index) if seeds != least.min() else 'every other method'})"
        for seeds, rows in sorted(least.groupby(least), reverse=True)
    ]
    return "; ".join(parts) if len(parts) > 1 else f"{least.min()} seeds"
