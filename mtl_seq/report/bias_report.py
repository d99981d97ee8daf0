"""How far each model's CVR is off, against the truth or against what a log can show."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mtl_seq.errors import DataError
from mtl_seq.records import FunnelTruth
from mtl_seq.report.findings import CEILING, TRUTH, Findings
from mtl_seq.report.inputs import facts_of, groups, observed
from mtl_seq.report.measures import Question, measure
from mtl_seq.report.rankers import as_predictions, without_probabilities
from mtl_seq.report.scores import Scores, check_scores
from mtl_seq.report.summaries import deciles, effective_size, gap_closed
from mtl_seq.schema import Schema

__all__ = ["BiasReport"]

_DEFAULT = Schema(
    labels={"click": "click", "conversion": "conversion"}, ids=("user_id",), group="user_id"
)


class BiasReport(Findings):
    """Predictions of any number of models, measured on the same rows.

    Made by `against_truth` or `from_log`; see `Findings` for what it holds.
    """

    @classmethod
    def against_truth(
        cls,
        scores: Mapping[str, pd.DataFrame],
        log: pd.DataFrame,
        truth: FunnelTruth,
        *,
        schema: Schema | None = None,
        naive: str = "click_space",
        oracle: str = "oracle",
        checkpoint_rule: str | None = None,
        facts: Mapping[str, Any] | None = None,
        replicates: int = 200,
        seed: int = 0,
    ) -> "BiasReport":
        """Measure predictions against the truth of a simulated log.

        Targets are probabilities, not draws, so no metric carries label noise: over all impressions
        the true CVR, on clicks P(conversion | x, click), on the rest P(conversion | x, no click).

        Args:
            scores: By model, a frame with columns ``pctr``, ``pcvr``, ``pctcvr`` and the log's
                index; or with the one column ``score``, any number, of a model that only ranks: its
                order is measured, and all that needs a probability is n/a.
            log: The impressions; its label and user columns are read.
            truth: The truth of the same rows.
            schema: The roles of the log's columns; by default those of the simulators.
            naive: Model at the far end of the gap.
            oracle: Model at the near end.
            checkpoint_rule: How every model's checkpoint was picked; printed with the table.
            facts: Further facts to print: scenario, seeds, versions.
            replicates: Resamples of the users for the intervals.
            seed: Seed of the resamples.

        Returns:
            The report.

        Raises:
            DataError: Predictions that are no probabilities or belong to other rows, or a truth of
                another length.
        """
        schema = schema or _DEFAULT
        click = observed(schema, log)[0] == 1
        if len(truth.pctr) != len(log):
            raise DataError(
                f"`truth` must have one entry per row of the log, {len(log):,}, found "
                f"{len(truth.pctr):,}: take both from one `sample` call"
            )
        references = {
            CEILING: Scores(truth.pctr, truth.pcvr_clicked, truth.pctcvr),
            TRUTH: Scores(truth.pctr, truth.pcvr, truth.pctcvr),
        }
        scores, rankers = as_predictions(scores)
        predictions = check_scores(scores, log, reserved=references)
        everyone = {**predictions, **references}
        given_click = np.where(click, truth.pcvr_clicked, truth.pcvr_unclicked)
        questions = [
            Question("pcvr", "all", np.ones_like(click), truth.pcvr),
            Question("pcvr", "clicks", click, given_click),
            Question("pcvr", "non-clicks", ~click, given_click),
            Question("pctr", "all", np.ones_like(click), truth.pctr),
            Question("pctcvr", "all", np.ones_like(click), truth.pctcvr),
        ]
        measured = measure(
            {name: s._asdict() for name, s in everyone.items()},
            questions,
            groups(schema, log),
            replicates=replicates,
            seed=seed,
        )
        at = ("pcvr", "all", "log_loss")
        values = measured.table.set_index(["model", "quantity", "space", "metric"])["value"]
        twins = {name: measured.replicates[(name, *at)] for name in predictions}
        known = {name: s.pcvr for name, s in everyone.items() if name not in rankers}
        losses = {name: float(values[(name, *at)]) for name in predictions if name not in rankers}
        return cls(
            title="Bias of predicted CVR against the known truth",
            metrics=without_probabilities(measured.table, rankers),
            models=list(predictions),
            deciles=deciles(known, truth),
            gap=gap_closed(losses, twins, naive, oracle),
            facts=facts_of(schema, log, click, checkpoint_rule, replicates, facts)
            | {"CVR over all impressions (truth)": float(truth.pcvr.mean())},
            oracle=oracle if oracle in predictions else None,
        )

    @classmethod
    def from_log(
        cls,
        scores: Mapping[str, pd.DataFrame],
        log: pd.DataFrame,
        *,
        schema: Schema,
        checkpoint_rule: str | None = None,
        facts: Mapping[str, Any] | None = None,
        replicates: int = 200,
        seed: int = 0,
    ) -> "BiasReport":
        """Measure predictions against what a real log shows.

        CTR and CTCVR over all impressions and CVR on clicks are identified; CVR off the clicks is
        not, and is not reported.

        Args:
            scores: By model, a frame with columns ``pctr``, ``pcvr``, ``pctcvr`` and the log's
                index; or with the one column ``score``, any number, of a model that only ranks: its
                order is measured, and all that needs a probability is n/a.
            log: The impressions with their labels.
            schema: The roles of the log's columns.
            checkpoint_rule: How every model's checkpoint was picked; printed with the table.
            facts: Further facts to print.
            replicates: Resamples of the users for the intervals.
            seed: Seed of the resamples.

        Returns:
            The report.

        Raises:
            DataError: Predictions that are no probabilities or belong to other rows.
        """
        click, conversion = observed(schema, log)
        scores, rankers = as_predictions(scores)
        predictions = check_scores(scores, log)
        everywhere = np.ones(len(log), dtype=bool)
        questions = [
            Question("pctr", "all", everywhere, click),
            Question("pctcvr", "all", everywhere, conversion),
            Question("pcvr", "clicks", click == 1, conversion),
        ]
        measured = measure(
            {name: s._asdict() for name, s in predictions.items()},
            questions,
            groups(schema, log),
            replicates=replicates,
            seed=seed,
        )
        table = without_probabilities(measured.table, rankers)
        kept = table[~table["metric"].isin(["rmse", "mean_bias"])]
        weights = {
            f"effective sample size of 1/pCTR weights, {name}": effective_size(s.pctr, click)
            if click.any()
            else "undefined: no clicks"
            for name, s in predictions.items()
            if name not in rankers
        }
        return cls(
            title="What a log can show of predicted CVR; its bias off the clicks is not identified",
            metrics=kept.reset_index(drop=True),
            models=list(predictions),
            deciles=None,
            gap={},
            facts=facts_of(schema, log, click == 1, checkpoint_rule, replicates, facts) | weights,
        )

    def plot(self, path: str | Path) -> None:
        """Draw the main figure into a file: relative bias by propensity decile, a line a model.

        Without a truth it is the calibration on clicks and over all impressions.
        """
        from mtl_seq.report.plots import main_figure, save

        save(main_figure(self), path)

    def to_html(self, path: str | Path) -> None:
        """Write one self-contained HTML file."""
        from mtl_seq.report.html import write_html

        write_html(self, path)
