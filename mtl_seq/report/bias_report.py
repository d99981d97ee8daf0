"""Bias of predicted CVR, against the truth of a simulated log or against a real log's labels."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from mtl_seq.errors import DataError
from mtl_seq.records import FunnelTruth, SelectionTest
from mtl_seq.report.compute.evaluation import compute_against_truth, compute_from_log
from mtl_seq.report.compute.inputs import ReportSettings
from mtl_seq.report.compute.predictions import Columns, Source
from mtl_seq.report.compute.result import ReportResult, changes_between
from mtl_seq.schema import Schema

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["BiasReport"]

_DEFAULT = Schema(
    labels={"click": "click", "conversion": "conversion"}, ids=("user_id",), group="user_id"
)
_NAIVE = "click_space"


class BiasReport(ReportResult):
    """Bias of any number of models' predictions, from any source, on the same rows.

    Created by `against_truth` or `from_log`, which share these arguments:

    * ``scores``: by model, a frame (or the path of a parquet file) with columns ``pctr``, ``pcvr``,
      ``pctcvr`` and the log's index. One of the latter two may be absent. Or a frame with the one
      column ``score``, any number, of a model that only ranks: only ranking metrics are reported.
    * ``columns``: where the predictions' columns have other names: by quantity,
      ``{"pcvr": "my_cvr"}``, or by model, ``{"lightgbm": {"pcvr": "my_cvr"}}``.
    * ``row_id``: column of the log and of the predictions that identifies a row; by default the
      index does.
    * ``by``: columns of the log to group the rows by: user groups, item categories, positions.
    * ``control``: model that the others are compared with; by default ``multitask`` where it is
      among them, else the naive model (``click_space``).
    * ``checkpoint_rule``: how checkpoints were chosen, to print; by default what the predictions
      carry.
    * ``metadata``: further metadata to print: scenario, seeds, versions.
    * ``replicates``: number of resamples of the users for the intervals.
    * ``seed``: seed of the resamples.

    Both raise a `DataError` for predictions outside [0, 1] or of other rows, and a `SchemaError`
    for an absent column of the log. The attributes are those of `ReportResult`.
    """

    @classmethod
    def against_truth(  # noqa: D417
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
        """Evaluate predictions against the truth of a simulated log.

        Targets are probabilities, not draws, so metrics carry no label noise: over all impressions
        the true CVR, on clicks P(conversion | x, click), on the rest P(conversion | x, no click).
        Arguments that are not listed here are documented at the class.

        Args:
            scores: Predictions by model.
            log: The impressions; its label and user columns are read.
            truth: The truth of the same rows.
            schema: The roles of the log's columns; by default those of the simulators.
            naive: Model at the far end of the gap.
            oracle: Model at the near end.

        Returns:
            The report.

        Raises:
            DataError: As stated at the class, or a truth of another length than the log.
            SchemaError: As stated at the class.
        """
        settings = ReportSettings(
            schema=schema or _DEFAULT,
            columns=columns,
            row_id=row_id,
            by=by,
            control=control,
            checkpoint_rule=checkpoint_rule,
            metadata=metadata,
            replicates=replicates,
            seed=seed,
        )
        result = compute_against_truth(scores, log, truth, settings, naive=naive, oracle=oracle)
        return cls(**vars(result))

    @classmethod
    def from_log(  # noqa: D417
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
        """Evaluate predictions against the labels of a real log.

        CTR and CTCVR over all impressions and CVR on clicks are identified. CVR on non-clicks is
        not, and no metric of it is reported: only its range under an assumed dependence of click
        and conversion. Arguments that are not listed here are documented at the class.

        Args:
            scores: Predictions by model.
            log: The impressions with their labels.
            schema: The roles of the log's columns.
            random: Column of the log that is 1 where the impression was chosen at random rather
                than by a ranking; metrics on those rows are reported beside those on the rest.
            selection: A test for hidden selection, such as that of `fit.selection_test`.

        Returns:
            The report.

        Raises:
            DataError: As stated at the class.
            SchemaError: As stated at the class.
        """
        settings = ReportSettings(
            schema=schema,
            columns=columns,
            row_id=row_id,
            by=by,
            control=control,
            checkpoint_rule=checkpoint_rule,
            metadata=metadata,
            replicates=replicates,
            seed=seed,
        )
        result = compute_from_log(
            scores, log, settings, naive=_NAIVE, random=random, selection=selection
        )
        return cls(**vars(result))

    def compared_to(self, older: "BiasReport") -> Self:
        """This report with its changes against an older one.

        Raises:
            DataError: One is against a truth and the other from a log.
        """
        if older.has_truth != self.has_truth:
            raise DataError(
                f"`older` must be of the same kind, found {older.title!r} beside {self.title!r}: "
                "compare two against the truth, or two from a log"
            )
        return replace(self, changes=changes_between(older, self))

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Draw the main figure: relative bias by propensity decile, a line per model.

        Without a truth it is the PCOC of pCTCVR over all impressions.

        Args:
            path: PNG or SVG file to write too; None for none.

        Returns:
            The Matplotlib figure.
        """
        from mtl_seq.report.render.plot_bias import main_figure, save

        return save(main_figure(self), path)

    def figures(self, folder: str | Path) -> list[Path]:
        """Draw every figure as a PNG file into a folder; returns the files."""
        from mtl_seq.report.render.figures import write_figures

        return write_figures(self, folder)

    def to_html(self, path: str | Path) -> None:
        """Write one self-contained HTML file."""
        from mtl_seq.report.render.html import write_html

        write_html(self, path)

    def __repr__(self) -> str:
        spaces = ", ".join(dict.fromkeys(self.metrics["space"]))
        return (
            f"{type(self).__name__}: {self.title}\n"
            f"  models: {', '.join(self.models)}\n"
            f"  rows: {self.metadata.get('impressions', 0):,} impressions; spaces: {spaces}\n"
            "  see .table, .plot(), .to_html(path)"
        )

    def _repr_html_(self) -> str:
        table = self.table.to_html(na_rep="n/a", float_format="{:.4f}".format)
        return f"<p><b>{escape(self.title)}</b></p>\n{table}"
