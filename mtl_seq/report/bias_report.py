"""How far each model's CVR is off, against the truth or against what a log can show."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pandas as pd

from mtl_seq._files import read_json, write_json
from mtl_seq.errors import DataError
from mtl_seq.records import FunnelTruth, Scores, SelectionTest
from mtl_seq.report.compute.alignment import Columns, Source
from mtl_seq.report.compute.comparisons import contradictions, lead
from mtl_seq.report.compute.compute import Inputs, gap_rows, observable_only, truth_questions
from mtl_seq.report.compute.deciles import deciles, gap_closed, gap_replicates
from mtl_seq.report.compute.grouped_sums import Sampling
from mtl_seq.report.compute.log import (
    chosen_control,
    groups,
    logged_propensity,
    metadata_of,
    observed,
    random_rows,
)
from mtl_seq.report.compute.predictions import check_scores
from mtl_seq.report.compute.ranking_models import REASON, as_predictions, without_probabilities
from mtl_seq.report.compute.report_diff import changes_between
from mtl_seq.report.compute.result import CEILING, TRUTH, Findings
from mtl_seq.report.compute.result_json import KIND, VERSION, fields_of, to_dict
from mtl_seq.report.compute.selection import selection_under
from mtl_seq.schema import Schema

__all__ = ["BiasReport"]

_DEFAULT = Schema(
    labels={"click": "click", "conversion": "conversion"}, ids=("user_id",), group="user_id"
)
_NAIVE = "click_space"


class BiasReport(Findings):
    """Predictions of any number of models, from any source, measured on the same rows.

    Made by `against_truth` or `from_log`; see `Findings` for what it holds.
    """

    @classmethod
    def against_truth(
        cls,
        scores: Mapping[str, Source],
        log: pd.DataFrame,
        truth: FunnelTruth,
        *,
        schema: Schema | None = None,
        columns: Columns | None = None,
        row_id: str | None = None,
        by: Sequence[str] = (),
        control: str | None = None,
        naive: str = _NAIVE,
        oracle: str = "oracle",
        checkpoint_rule: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        replicates: int = 200,
        seed: int = 0,
    ) -> Self:
        """Measure predictions against the truth of a simulated log.

        Targets are probabilities, not draws, so no metric carries label noise: over all impressions
        the true CVR, on clicks P(conversion | x, click), on the rest P(conversion | x, no click).

        Args:
            scores: By model, a frame (or the path of a parquet file) with columns ``pctr``,
                ``pcvr``, ``pctcvr`` and the log's index. One of the latter two may be absent.
                Or a frame with the one column ``score``, any number, of a model that only ranks:
                its order is measured, and all that needs a probability is n/a.
            log: The impressions; its label and user columns are read.
            truth: The truth of the same rows.
            schema: The roles of the log's columns; by default those of the simulators.
            columns: Where the predictions' columns have other names: by quantity,
                ``{"pcvr": "my_cvr"}``, or by model, ``{"lightgbm": {"pcvr": "my_cvr"}}``.
            row_id: Column of the log and of the predictions that names a row; by default the index
                does.
            by: Columns of the log to part the rows by: user groups, item categories, positions.
            control: Model that the others are held against; by default ``multitask`` where it is
                among them, else the naive one.
            naive: Model at the far end of the gap.
            oracle: Model at the near end.
            checkpoint_rule: How checkpoints were picked, to print; else what predictions say.
            metadata: Further metadata to print: scenario, seeds, versions.
            replicates: Resamples of the users for the intervals.
            seed: Seed of the resamples.

        Returns:
            The report.

        Raises:
            DataError: Predictions that are no probabilities or belong to other rows, or a truth of
                another length.
            SchemaError: A column of the log that is not there.
        """
        schema = schema or _DEFAULT
        labels = observed(schema, log)
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
        found = check_scores(scores, log, reserved=references, columns=columns, row_id=row_id)
        graded = [name for name in found if name not in rankers]
        sampling = Sampling(groups(schema, log), replicates, seed)
        chosen = chosen_control(control, found, naive)
        inputs = Inputs(schema, log, *labels, found, chosen, by, sampling)
        questions = truth_questions(truth, inputs.click == 1)
        measured = inputs.measured(questions, references)
        at = ("pcvr", "all", "log_loss")
        values = measured.table.set_index(["model", "quantity", "space", "metric"])["value"]
        twins = {name: measured.replicates[(name, *at)] for name in graded}
        losses = {name: float(values[(name, *at)]) for name in graded}
        gap = gap_closed(losses, twins, naive, oracle)
        gap |= dict.fromkeys(rankers, (float("nan"), REASON)) if gap else {}
        rows = gap_rows(gap, gap_replicates(twins, naive, oracle) if gap else {})
        everyone = {name: own.pcvr for name, own in (found | references).items()}
        report = cls(
            title="Bias of predicted CVR against the known truth",
            metrics=pd.concat([measured.table, *rows], ignore_index=True),
            models=tuple(found),
            deciles=deciles(everyone, truth, sampling),
            gap=gap,
            metadata=metadata_of(schema, log, labels, scores, checkpoint_rule, sampling, metadata)
            | {"CVR over all impressions (truth)": float(truth.pcvr.mean())},
            oracle=oracle if oracle in found else None,
            control=chosen,
            contradictions=contradictions(measured.table, measured.replicates, list(found)),
            lead=lead(
                measured.table, measured.replicates, [name for name in graded if name != oracle], at
            ),
            overlap=inputs.overlap({TRUTH: truth.pctr}, TRUTH),
            sensitivity=inputs.sensitivity(TRUTH, references[TRUTH], {TRUTH: references[TRUTH]}),
            **inputs.compared(measured, questions, known=True),
        )
        return without_probabilities(report, rankers)

    @classmethod
    def from_log(
        cls,
        scores: Mapping[str, Source],
        log: pd.DataFrame,
        *,
        schema: Schema,
        columns: Columns | None = None,
        row_id: str | None = None,
        by: Sequence[str] = (),
        random: str | None = None,
        selection: SelectionTest | None = None,
        control: str | None = None,
        checkpoint_rule: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        replicates: int = 200,
        seed: int = 0,
    ) -> Self:
        """Measure predictions against what a real log shows.

        CTR and CTCVR over all impressions and CVR on clicks are identified; CVR off the clicks is
        not, and no figure of it is given: only what it could be under an assumed dependence of
        click and conversion.

        Args:
            scores: By model, a frame (or the path of a parquet file) with columns ``pctr``,
                ``pcvr``, ``pctcvr`` and the log's index. One of the latter two may be absent.
                Or a frame with the one column ``score``, any number, of a model that only ranks:
                its order is measured, and all that needs a probability is n/a.
            log: The impressions with their labels.
            schema: The roles of the log's columns.
            columns: Where the predictions' columns have other names: by quantity, or by model and
                quantity.
            row_id: Column of the log and of the predictions that names a row; by default the index
                does.
            by: Columns of the log to part the rows by.
            random: Column of the log that is 1 where the impression was chosen at random rather
                than by a ranking; figures on those rows stand beside those on the rest.
            selection: A test for hidden selection, such as that of `fit.selection_test`.
            control: Model that the others are held against; by default ``multitask``, else
                ``click_space``, where it is among them.
            checkpoint_rule: How checkpoints were picked, to print; else what predictions say.
            metadata: Further metadata to print.
            replicates: Resamples of the users for the intervals.
            seed: Seed of the resamples.

        Returns:
            The report.

        Raises:
            DataError: Predictions that are no probabilities or belong to other rows.
            SchemaError: A column of the log that is not there.
        """
        labels = observed(schema, log)
        scores, rankers = as_predictions(scores)
        found = check_scores(scores, log, columns=columns, row_id=row_id)
        graded = [name for name in found if name not in rankers]
        sampling = Sampling(groups(schema, log), replicates, seed)
        chosen = chosen_control(control, found, _NAIVE)
        inputs = Inputs(schema, log, *labels, found, chosen, by, sampling)
        marked = None if random is None else random_rows(log, random)
        shown = {} if marked is None else {f"shown at random ({random})": int(marked.sum())}
        questions = inputs.observable()
        measured = inputs.measured(questions)
        losses = measured.table[
            (measured.table["metric"] == "log_loss") & measured.table["model"].isin(graded)
        ]
        closest = {
            quantity: str(losses.loc[own["value"].idxmin(), "model"])
            for quantity, own in losses.groupby("quantity")
            if quantity != "pcvr"
        }
        logged = logged_propensity(schema, log)
        base = closest.get("pctcvr")
        propensity = next(iter(logged), closest.get("pctr"))
        report = cls(
            title="What a log can show of predicted CVR; its bias off the clicks is not identified",
            metrics=pd.concat(
                [observable_only(measured.table), inputs.null_ece(questions)], ignore_index=True
            ),
            models=tuple(found),
            deciles=None,
            gap={},
            metadata=metadata_of(schema, log, labels, scores, checkpoint_rule, sampling, metadata)
            | shown,
            oracle=None,
            control=chosen,
            contradictions=(),
            lead=lead(measured.table, measured.replicates, graded, ("pctcvr", "all", "log_loss"))
            if inputs.conversion.any()
            else None,
            overlap=inputs.overlap(logged, propensity) if propensity else None,
            sensitivity=inputs.sensitivity(base, found[base], {}) if base else None,
            random=None if marked is None else inputs.on_slices(marked),
            selection=selection_under(selection, found[base]) if selection and base else None,
            **inputs.compared(measured, questions, known=False),
        )
        return without_probabilities(report, rankers)

    @classmethod
    def from_json(cls, path: str | Path) -> Self:
        """Read what `to_json` wrote, in this or an older format.

        Raises:
            ArtifactError: The file is no report of a version this code reads.
        """
        return cls(**fields_of(read_json(path, kind=KIND, version=VERSION)))

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form; NaN becomes null, with its reason beside it."""
        return to_dict(self)

    def to_json(self, path: str | Path) -> None:
        """Write every figure as JSON; `from_json` reads it."""
        write_json(path, to_dict(self), kind=KIND, version=VERSION)

    def compared_to(self, older: "BiasReport") -> Self:
        """This report with what is new in it against an older one.

        Raises:
            DataError: One is against a truth and the other from a log.
        """
        if older.known != self.known:
            raise DataError(
                f"`older` must be of the same kind, found {older.title!r} beside {self.title!r}: "
                "compare two against the truth, or two from a log"
            )
        before, after = ((one.metrics, one.models, one.metadata) for one in (older, self))
        return replace(self, changes=changes_between(before, after, self.columns))

    def plot(self, path: str | Path) -> None:
        """Draw the main figure into a file: relative bias by propensity decile, a line a model.

        Without a truth it is the calibration over all impressions.
        """
        from mtl_seq.report.render.plot_bias import main_figure, save

        save(main_figure(self), path)

    def figures(self, folder: str | Path) -> list[Path]:
        """Draw every figure as a PNG file into a folder; what was written."""
        from mtl_seq.report.render.figures import write_pictures

        return write_pictures(self, folder)

    def to_html(self, path: str | Path) -> None:
        """Write one self-contained HTML file."""
        from mtl_seq.report.render.html import write_html

        write_html(self, path)
