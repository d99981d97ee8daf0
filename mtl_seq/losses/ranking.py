"""Base of the ranking losses: grades of engagement, and pairs of rows within a group."""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from mtl_seq.errors import CompositionError
from mtl_seq.functional import PairIndex, Pairs, index_pairs, pairs_at
from mtl_seq.losses.base import Loss
from mtl_seq.losses.pair_sampling import Comparisons
from mtl_seq.records import FunnelLabels, FunnelPrediction

__all__ = ["RankingLoss"]

_FIRST, _BETWEEN, _LAST = 1.0, 2.0, 3.0


class RankingLoss(Loss):
    """Loss of pairs of rows of one group that have different grades.

    The score is the logit of pCTCVR. Trained by ranks it is no longer a probability: it has no
    scale, and pCTR and pCVR of the same network have no meaning. Groups are ``labels.group``;
    without them the batch is one group.

    A row's term is the sum over its pairs, so that a pair counts in both of its rows; the mean over
    the rows of a batch of separate pairs is the mean over its pairs.

    Args:
        grades: Grade of each stage; a row has the highest of the stages it reached, 0 for none. By
            default the first stage has 1, the last 3, those between 2: purchase over cart over
            click over nothing.
        comparisons: How `fit` samples the rows to compare.

    Raises:
        CompositionError: A grade that is negative or infinite.
    """

    space = "all"
    detaches_pctr = False
    ranks_only: ClassVar[bool] = True

    def __init__(self, grades: Mapping[str, float] | None, comparisons: Comparisons) -> None:
        super().__init__()
        for stage, grade in (grades or {}).items():
            if not 0 <= grade < math.inf:
                raise CompositionError(
                    f"`grades` must be at least 0 and finite, found {grade} for {stage!r}: an "
                    "impression without any engagement has 0"
                )
        self.grades = None if grades is None else dict(grades)
        self.comparisons = comparisons

    def grade(self, labels: FunnelLabels, stages: Sequence[str]) -> Tensor:
        """``(B,)`` the grade of every row.

        Args:
            labels: Of the rows.
            stages: The funnel's stages, in its order.

        Raises:
            CompositionError: Grades of other stages than the funnel's.
        """
        between = dict.fromkeys(stages[1:-1], _BETWEEN)
        grades = self.grades or {stages[0]: _FIRST, **between, stages[-1]: _LAST}
        if set(grades) != set(stages):
            raise CompositionError(
                f"`grades` must name the funnel's stages {tuple(stages)}, found {tuple(grades)}"
            )
        # Without a click no later stage counts.
        reached = labels.stages * labels.click.unsqueeze(1)
        return (reached * reached.new_tensor([grades[stage] for stage in stages])).amax(1)

    def forward(self, prediction: FunnelPrediction, labels: FunnelLabels) -> Tensor:
        """Prediction and labels of B rows -> ``(B,)`` terms, 0 for a row that is in no pair."""
        score = prediction.joint_logit[prediction.stages[-1]]
        grade = self.grade(labels, prediction.stages)
        group = labels.group
        if group is None:
            group = torch.zeros(len(grade), dtype=torch.int64, device=grade.device)
        index = index_pairs(grade, group)
        pairs = pairs_at(index, torch.arange(index.pairs, device=grade.device))
        losses = self.losses(score, grade, group, index, pairs)
        # Connected to the score, so that a batch without pairs still has a gradient: 0.
        return (0 * score).index_add(0, pairs.better, losses).index_add(0, pairs.worse, losses)

    @abstractmethod
    def losses(
        self, score: Tensor, grade: Tensor, group: Tensor, index: PairIndex, pairs: Pairs
    ) -> Tensor:
        """``(P,)`` weighted losses of the pairs of B rows.

        Args:
            score: ``(B,)`` scores, in logits.
            grade: ``(B,)`` grades.
            group: ``(B,)`` codes of the user or request.
            index: The pairs, numbered.
            pairs: All of them, in that order.
        """
