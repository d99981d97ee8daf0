"""What a report says in its first lines."""

import numpy as np

from mtl_seq.report.compute.ranking_models import REASON
from mtl_seq.report.compute.result import CEILING, Findings
from mtl_seq.report.render.formatting import figure, percent, with_interval
from mtl_seq.report.render.selection_text import selection_lines

__all__ = ["contradiction_lines", "headline"]

_BIAS = ("pcvr", "all", "relative_bias")
_PCOC = ("pctcvr", "all", "pcoc")
_NOTABLE = 0.005


def headline(report: Findings) -> list[str]:
    """Sentences for a reader with ten seconds: which model, how biased, where, how sure."""
    return _against_truth(report) if report.known else _from_log(report)


def contradiction_lines(report: Findings) -> list[str]:
    """A sentence for each pair of models that clicks surely order otherwise than all rows do."""
    return [
        f"On clicks {one.clicked} ranks above {one.entire} (AUC ahead by "
        f"{_lead(one.lead_on_clicks)}), over all impressions below it (behind by "
        f"{_lead(one.lead_on_all)})."
        for one in report.contradictions
    ]


def _against_truth(report: Findings) -> list[str]:
    graded = _graded(report, _BIAS)
    usable = [name for name in graded if name != report.oracle]
    lines = []
    if usable:
        best = min(usable, key=lambda m: report.estimate(m, "pcvr", "all", "log_loss").value)
        lines.append(
            f"Over all impressions {best} comes closest to the true CVR (least log loss); on "
            f"average it is off by {_bias(report, best)}."
        )
        lines.append(_where(report, best))
        lines += [_how_sure(report, "of pCVR, all impressions")] if report.lead else []
        others = ", ".join(f"{name} {_bias(report, name)}" for name in usable if name != best)
        lines += [f"The others: {others}."] if others else []
    if report.oracle:
        lines.append(
            f"{report.oracle}, trained on what nobody can observe: {_bias(report, report.oracle)}."
        )
    lines += _rankers(report, graded)
    ceiling = report.estimate(CEILING, *_BIAS).value
    if abs(ceiling) > _NOTABLE:
        lines.append(
            f"Something hidden moves clicks and conversions: a method that assumes otherwise can "
            f"at best be off by {ceiling:+.0%}."
        )
    count = len(report.contradictions)
    if count:
        pairs = "one pair" if count == 1 else f"{count} pairs"
        lines.append(f"Judged on clicks alone, AUC would order {pairs} of models the wrong way.")
    return lines


def _where(report: Findings, best: str) -> str:
    assert report.deciles is not None
    bias = report.deciles.relative_bias[best]
    on = {
        space: figure("relative_bias", report.estimate(best, "pcvr", space, "relative_bias").value)
        for space in ("clicks", "non-clicks")
    }
    said = f"On clicks that is {on['clicks']}, on non-clicks {on['non-clicks']}"
    if np.isnan(bias).all():
        return f"{said}."
    at = int(np.nanargmax(np.abs(bias)))
    if abs(bias[at]) < _NOTABLE:
        return f"{said}; in no decile of the propensity is it more than {_NOTABLE:.1%} off."
    return (
        f"{said}; it is largest in decile {at + 1} of the propensity (mean "
        f"{percent(float(report.deciles.propensity[at]))}): "
        f"{figure('relative_bias', float(bias[at]))}."
    )


def _how_sure(report: Findings, what: str) -> str:
    found = report.lead
    assert found is not None
    lead = _lead(found.lead)
    if found.sure:
        return f"Its lead over {found.second}, the next, is sure: {lead} in log loss {what}."
    return (
        f"Its lead over {found.second}, the next, is not sure: {lead} in log loss {what}. The rows "
        "at hand cannot tell the two apart."
    )


def _from_log(report: Findings) -> list[str]:
    lines = [
        "Identified from a log: CTR and CTCVR over all impressions, CVR on clicks. CVR on "
        "impressions without a click is not: no figure here says how biased it is."
    ]
    if report.metrics["reason"].notna().any():
        lines.append("Some figures are not defined on this log: the reasons stand with the table.")
    if report.lead:
        lines.append(
            f"By what is identified {report.lead.first} comes closest (least log loss of pCTCVR). "
            + _how_sure(report, "of pCTCVR, all impressions")
        )
    graded = _graded(report, _PCOC)
    said = ", ".join(f"{name} {_pcoc(report, name)}" for name in graded)
    if graded:
        lines.append(f"Conversions predicted over observed (PCOC), all impressions: {said}.")
    lines += _rankers(report, graded)
    if report.selection is not None:
        lines += selection_lines(report.selection)
    found = report.sensitivity
    if found is not None and found.reason is None:
        low, high = found.ranges[2.0]
        lines.append(
            f"Not identified: if the odds ratio of click and potential conversion lies between 1/2 "
            f"and 2, the mean CVR over all impressions lies between {percent(low)} and "
            f"{percent(high)}; if nothing is assumed, between {percent(found.worst[0])} and "
            f"{percent(found.worst[1])}."
        )
    return lines


def _graded(report: Findings, at: tuple[str, str, str]) -> list[str]:
    """Models whose predictions are probabilities, so that the figure is theirs or of all."""
    own = report.metrics[report.metrics["metric"] == at[2]]
    ranks = set(own.loc[own["reason"] == REASON, "model"])
    return [name for name in report.models if name not in ranks]


def _rankers(report: Findings, graded: list[str]) -> list[str]:
    names = ", ".join(name for name in report.models if name not in graded)
    return [f"No probabilities, only an order: {names}."] if names else []


def _pcoc(report: Findings, model: str) -> str:
    return with_interval("pcoc", report.estimate(model, *_PCOC))


def _bias(report: Findings, name: str) -> str:
    return with_interval("relative_bias", report.estimate(name, *_BIAS))


def _lead(lead: tuple[float, float, float]) -> str:
    value, low, high = lead
    return f"{value:.5f} [{low:.5f}, {high:.5f}]"
