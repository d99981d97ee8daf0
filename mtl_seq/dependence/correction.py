"""An estimated dependence, and the predictions corrected by it.

Shapes: N impressions, K levels of the click-only features.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor

from mtl_seq.data import Codec
from mtl_seq.dependence.level_probability import LevelShares
from mtl_seq.dependence.levels import Levels
from mtl_seq.functional import dependent_cells, logit_click
from mtl_seq.nn import FunnelNetwork
from mtl_seq.nn.forward import batched_forward
from mtl_seq.records import FloatArray, Scores, SelectionTest

__all__ = ["Correction", "NuisanceLogits", "nuisance_logits"]

_ROWS = 16_384


class NuisanceLogits(NamedTuple):
    """Predictions of a network with lambda fixed at 0.

    Attributes:
        click: ``(N, K)`` logit of the click at every level.
        rate: ``(N,)`` logit of P(conversion | click).
    """

    click: FloatArray
    rate: FloatArray


def nuisance_logits(
    network: FunnelNetwork,
    codec: Codec,
    levels: Levels,
    frame: pd.DataFrame,
    features: Mapping[str, Tensor],
) -> NuisanceLogits:
    """Predict rows at every level of the click-only features.

    Args:
        network: Put into eval mode.
        codec: Encodes the levels.
        levels: The levels.
        frame: The rows.
        features: The same rows, encoded.
    """
    device = next(network.parameters()).device
    at = {name: x.to(device) for name, x in levels.encoded(codec, frame).items()}
    click, rate = batched_forward(
        network, features, tuple, forward=partial(network.at_levels, levels=at)
    )
    return NuisanceLogits(click.numpy(), rate.numpy())


@dataclass(frozen=True)
class Correction:
    """An estimated dependence, and the map from nuisances to predictions.

    Attributes:
        test: The estimate, its standard error and its test.
        log_odds_ratio: The log odds ratio that predictions use: that of the test, shrunk if asked
            for, and 0 where it is not identified.
        method: How it was estimated: ``"moment"``, ``"joint"`` or ``"profile"``.
        levels: Levels of the click-only features.
        shares: P(level | x).
        by_network: Whether the network itself predicts with lambda, trained with it or refitted.
    """

    test: SelectionTest
    log_odds_ratio: float
    method: str
    levels: Levels
    shares: LevelShares
    by_network: bool = False

    def apply(self, network: FunnelNetwork, codec: Codec, frame: pd.DataFrame) -> Scores:
        """Predict rows by the nuisances and lambda.

        A row whose click-only features are absent, or have values that the log did not, gets pCTR
        and pCTCVR averaged over the levels.

        Args:
            network: Trained with lambda fixed at 0.
            codec: Encodes rows for it.
            frame: The rows.
        """
        absent = [column for column in self.levels.columns if column not in frame]
        if absent:
            first = self.levels.frame().iloc[0]
            frame = frame.assign(**{column: first[column] for column in absent})
        features = codec.encode(frame, labels=False).features
        logits = nuisance_logits(network, codec, self.levels, frame, features)
        shares = self.shares.predict(frame, features)
        level = np.full(len(frame), -1) if absent else self.levels.codes(frame)
        parts = [
            self._scores(logits.click[rows], logits.rate[rows], shares[rows], level[rows])
            for rows in _blocks(len(frame))
        ]
        return Scores(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def _scores(
        self, click: FloatArray, rate: FloatArray, shares: FloatArray, level: NDArray[np.int64]
    ) -> Scores:
        # Not recalibrated: the maps of the folds' networks are not this network's.
        p, mu = torch.from_numpy(expit(click)), torch.from_numpy(expit(rate))
        share = torch.from_numpy(np.ascontiguousarray(shares))
        cells = dependent_cells(p, share, mu, self.log_odds_ratio)
        a = logit_click(p, cells.b[:, None], self.log_odds_ratio)
        # From one expression each, so that pCTCVR <= pCVR holds to the bit.
        log_q = torch.nn.functional.logsigmoid(cells.b)
        joint = torch.exp(log_q[:, None] + torch.nn.functional.logsigmoid(a + self.log_odds_ratio))
        known = torch.from_numpy(level >= 0)
        column = torch.from_numpy(np.maximum(level, 0))[:, None]
        pctr = torch.where(known, p.gather(1, column)[:, 0], (share * p).sum(1))
        pctcvr = torch.where(known, joint.gather(1, column)[:, 0], (share * joint).sum(1))
        pcvr = torch.exp(log_q)
        pctcvr = torch.minimum(pctcvr, torch.minimum(pcvr, pctr))
        return Scores(pctr.numpy(), pcvr.numpy(), pctcvr.numpy())

    def marked(self, scores: Scores, index: pd.Index) -> pd.DataFrame:
        """Predictions as a frame whose ``attrs["dependence"]`` states the estimate."""
        frame = pd.DataFrame(scores._asdict(), index=index)
        frame.attrs["dependence"] = self.mark()
        return frame

    def __str__(self) -> str:
        """One line for a report."""
        test = self.test
        return (
            f"lambda {test.log_odds_ratio:.2f}, standard error {test.standard_error:.2f}, "
            f"{test.verdict}; {self.log_odds_ratio:.2f} is used"
        )

    def mark(self) -> dict[str, Any]:
        """The estimate as predictions carry it, JSON-ready."""
        return {
            **{k: _plain(v) for k, v in self.test._asdict().items()},
            "used_log_odds_ratio": self.log_odds_ratio,
            "method": self.method,
            "level_share": self.shares.source,
        }

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form; `from_dict` reads it. `tensors` are kept apart."""
        return {
            "test": {k: _plain(v) for k, v in self.test._asdict().items()},
            "log_odds_ratio": self.log_odds_ratio,
            "method": self.method,
            "levels": self.levels.to_dict(),
            "shares": self.shares.to_dict(),
            "by_network": self.by_network,
        }

    def tensors(self) -> dict[str, Tensor]:
        """Weights of the model of P(level | x); empty where there is none."""
        policy = self.shares.policy
        return {} if policy is None else {k: x.contiguous() for k, x in policy.state_dict().items()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "Correction":
        """Read what `to_dict` and `tensors` wrote."""
        test: dict[str, Any] = {k: np.nan if v is None else v for k, v in content["test"].items()}
        shares = LevelShares.from_dict(content["shares"])
        if shares.policy is not None:
            shares.policy.load_state_dict(dict(tensors))
        return cls(
            SelectionTest(**test),
            content["log_odds_ratio"],
            content["method"],
            Levels.from_dict(content["levels"]),
            shares,
            content["by_network"],
        )


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and np.isnan(value) else value


def _blocks(rows: int) -> list[slice]:
    return [slice(start, start + _ROWS) for start in range(0, rows, _ROWS)]
