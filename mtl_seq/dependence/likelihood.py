"""Maximum likelihood estimates of lambda, profiled or by joint training.

Shapes: N impressions, K levels of the click-only feature.
"""

import numpy as np
import pandas as pd
import torch
from scipy.special import logit
from torch import Tensor

from mtl_seq.data import Codec
from mtl_seq.dependence.correction import Correction
from mtl_seq.dependence.level_probability import LevelShares
from mtl_seq.dependence.levels import Levels
from mtl_seq.dependence.moment import verdict
from mtl_seq.dependence.nuisance_calibration import likelihood_ratio
from mtl_seq.functional import dependent_chain
from mtl_seq.models import FunnelModel
from mtl_seq.nn.forward import batched_forward
from mtl_seq.records import FloatArray, IntArray, SelectionTest
from mtl_seq.schema import Schema

__all__ = ["joint_dependence", "profile_likelihood"]

_STEPS = 100


def profile_likelihood(
    p: FloatArray,
    clicked_rate: FloatArray,
    level: IntArray,
    click: FloatArray,
    conversion: FloatArray,
    level_share: FloatArray,
    *,
    weight: FloatArray | None = None,
    group: IntArray | None = None,
) -> SelectionTest:
    """Maximise the likelihood over lambda, slopes, and intercepts, one per level.

    Its evidence is not that of the level alone: the form of the model and undertrained logits
    contribute, so that it can find a lambda where there is none. `dependence_moment` cannot.

    Args:
        p: ``(N, K)`` P(click | x, level) at every level.
        clicked_rate: ``(N,)`` P(conversion | click, x).
        level: ``(N,)`` the row's level.
        click: ``(N,)`` 0 or 1.
        conversion: ``(N,)`` 0 or 1.
        level_share: ``(N, K)`` or ``(K,)`` P(level | x), for the strength only.
        weight: ``(N,)`` weights of the rows; None for equal ones.
        group: ``(N,)`` codes of the user; standard errors are then clustered by it.

    Returns:
        The estimate, in which t is lambda over its standard error.
    """
    weight = np.ones(len(p)) if weight is None else weight
    levels = p.shape[1]
    own = logit(p[np.arange(len(p)), level])
    rate = logit(clicked_rate)
    design = torch.from_numpy(
        np.concatenate(
            [own[:, None], np.eye(levels)[level], rate[:, None], np.ones((len(p), 1))], 1
        )
    )
    outcome = torch.from_numpy((click + conversion * click).astype(np.int64))
    mass = torch.from_numpy(weight / weight.sum())
    free = torch.zeros(levels + 4, dtype=torch.float64)
    free[0] = free[levels + 1] = 1.0

    def losses(a: Tensor, b: Tensor, log_odds_ratio: Tensor) -> Tensor:
        chain = dependent_chain(torch.stack((a, b, log_odds_ratio), dim=1))
        ends = torch.stack((*chain.log_leave, chain.log_reach[-1]), dim=1)
        return -ends.gather(1, outcome[:, None])[:, 0]

    def parts(at: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a = design[:, : levels + 1] @ at[: levels + 1]
        b = design[:, levels + 1 :] @ at[levels + 1 : levels + 3]
        return a, b, at[-1].expand(len(a))

    free.requires_grad_()
    optimizer = torch.optim.LBFGS(
        [free], max_iter=_STEPS, tolerance_grad=1e-9, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (mass * losses(*parts(free))).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    at = free.detach()
    moved = [x.clone().requires_grad_() for x in parts(at)]
    by_a, by_b, by_log_odds_ratio = torch.autograd.grad(losses(*moved).sum(), moved)
    scores = torch.cat(
        (
            design[:, : levels + 1] * by_a[:, None],
            design[:, levels + 1 :] * by_b[:, None],
            by_log_odds_ratio[:, None],
        ),
        dim=1,
    ).numpy()
    information = scores.T @ (scores * weight[:, None])
    scores = scores * weight[:, None]
    inverse = np.linalg.pinv(information, rcond=1e-12, hermitian=True)
    if group is not None:
        scores = np.stack([np.bincount(group, column) for column in scores.T], axis=1)
    spread = float(np.sqrt(inverse[-1] @ (scores.T @ scores) @ inverse[-1]))
    log_odds_ratio = float(at[-1])
    shares = np.broadcast_to(level_share, p.shape)
    strength = likelihood_ratio(logit((shares * p).sum(1)), level, levels, click, weight)
    t = log_odds_ratio / spread if spread > 0 else float("nan")
    return SelectionTest(log_odds_ratio, spread, t, verdict(spread), strength)


def joint_dependence(
    model: FunnelModel, codec: Codec, schema: Schema, log: pd.DataFrame
) -> Correction:
    """Lambda of the first edge from joint training; its mean where it varies.

    The standard error treats the towers as known, up to a slope and an intercept each, so it is too
    small; and the evidence is not that of the click-only features alone.

    Args:
        model: Trained.
        codec: Encodes rows for it.
        schema: The roles of the columns.
        log: The training rows.
    """
    rows = codec.encode(log)
    assert rows.labels is not None
    (logits,) = batched_forward(model.network, rows.features, lambda output: (output.logits,))
    stages = len(schema.funnel.names)
    mass = torch.ones(len(logits)) if rows.labels.weight is None else rows.labels.weight
    moved = logits.clone().requires_grad_()
    chain = dependent_chain(moved)
    ends = torch.stack((*chain.log_leave, chain.log_reach[-1]), dim=1)
    reached = rows.labels.stages.sum(1).long()
    (by,) = torch.autograd.grad(-ends.gather(1, reached[:, None]).sum(), moved)
    scores = torch.cat((by, by[:, :stages] * logits[:, :stages]), dim=1)
    information = (scores.T @ (scores * mass.double()[:, None])).numpy()
    inverse = np.linalg.pinv(information, rcond=1e-12, hermitian=True)
    log_odds_ratio = float(logits[:, stages].mean())
    spread = float(np.sqrt(inverse[stages, stages]))
    levels = Levels.fit(schema, log)
    test = SelectionTest(log_odds_ratio, spread, log_odds_ratio / spread, verdict(spread))
    shares = LevelShares("", np.bincount(levels.codes(log)) / len(log))
    return Correction(test, log_odds_ratio, "joint", levels, shares, by_network=True)
