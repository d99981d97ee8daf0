"""Every part keeps its contract, and the checks detect violations."""

import inspect
from dataclasses import replace
from functools import partial

import pytest
import torch
from contract import rows
from contract.rows import exported

from mtl_seq import FunnelEstimator, losses, models, nn
from mtl_seq.functional import binary_cross_entropy
from mtl_seq.testing import (
    CHAINS,
    FUNNELS,
    ContractError,
    check_bottom,
    check_estimator,
    check_exportable,
    check_head,
    check_loss,
    check_model,
)


def named(table):
    return pytest.mark.parametrize("part", list(table.values()), ids=list(table))


def placed(table):
    """Parts with the arguments of their check."""
    result = [(part, rows.ON.get(name, {})) for name, part in table.items()]
    return pytest.mark.parametrize(("part", "on"), result, ids=list(table))


@named(rows.BOTTOMS)
def test_bottoms(part):
    check_bottom(part)


@placed(rows.HEADS)
def test_heads(part, on):
    check_head(part, **on)


@placed(rows.LOSSES)
def test_losses(part, on):
    check_loss(part, **on)


@pytest.mark.parametrize("bottom", [nn.MMoE, nn.SharedBottom, nn.SingleTask])
@placed(rows.MODELS)
def test_models(part, on, bottom):
    check_model(partial(part, bottom=bottom), **on)


@placed(rows.MODELS)
def test_models_export_and_compile(part, on):
    check_exportable(part, **on)


@pytest.mark.parametrize(
    "name",
    [
        "multitask",
        "esmm",
        "dbmtl",
        "aitm",
        "multi_ipw",
        "dr_jl",
        "mrdr",
        "dcmt",
        "ddpo",
        "chorus_cvr",
        "esmm_dependent",
    ],
)
def test_models_on_a_longer_chain(name):
    check_model(rows.MODELS[name], funnel=CHAINS[1])


@pytest.mark.parametrize("name", ["esmm", "esm2", "dbmtl"])
@pytest.mark.parametrize("funnel", FUNNELS[2:], ids=["mediator", "exclusive mediators"])
def test_models_with_mediators(name, funnel):
    check_model(rows.MODELS[name], funnel=funnel)


# A few hundred rows identify no dependence, which raises a warning.
@pytest.mark.filterwarnings("ignore::mtl_seq.errors.SelectionWarning")
@pytest.mark.parametrize("name", rows.MODELS)
def test_estimators(name):
    part = rows.MODELS[name]
    check_estimator(
        lambda schema: FunnelEstimator(part, schema, epochs=1, batch_size=64, seed=5),
        simulator=rows.SCENARIOS.get(name),
    )


def test_one_seed_gives_one_fit_also_with_gate_dropout():
    build = partial(models.esmm, bottom=partial(nn.MMoE, gate_dropout=0.3))
    check_estimator(lambda schema: FunnelEstimator(build, schema, epochs=1, batch_size=64, seed=5))


def inner(part):
    return part.func if isinstance(part, partial) else part


def test_every_public_part_has_a_row():
    assert exported(nn, nn.Bottom) == {inner(part) for part in rows.BOTTOMS.values()}
    assert exported(nn, nn.Head) == {inner(part) for part in rows.HEADS.values()}
    assert exported(losses, losses.Loss) == {type(part) for part in rows.LOSSES.values()}
    builders = {
        name
        for name in models.__all__
        if inspect.isfunction(getattr(models, name)) and name != "assemble"
    }
    assert builders == set(rows.MODELS)


class ForgetsTower(nn.SharedBottom):
    def forward(self, shared):
        return super().forward(shared)[:, :1]


class MixesRows(nn.SharedBottom):
    def forward(self, shared):
        return super().forward(shared - shared.mean(0))


class DeadHead(nn.ParallelHead):
    def forward(self, hidden, own):
        return super().forward(hidden, own).detach() + hidden[:, :, 0]


class IgnoresOwn(nn.ParallelHead):
    def forward(self, hidden, own):
        return super().forward(hidden, {name: torch.zeros_like(x) for name, x in own.items()})


class LeaksOwn(nn.DBMTL):
    """Own features are added before the vector that is passed on."""

    def forward(self, hidden, own):
        first = own.get("click")
        return super().forward(hidden if first is None else hidden + first[:, None, :1], own)


class ClaimsConditionals(nn.AITM):
    conditional = True


class BranchesOnData(nn.SharedBottom):
    def forward(self, shared):
        return super().forward(shared if shared.sum() > 0 else -shared)


class LeakyIPS(losses.IPS):
    """The propensity is not detached, as in published code."""

    def forward(self, prediction, labels):
        error = binary_cross_entropy(prediction.pcvr_logit, labels.conversion)
        return labels.click * error / prediction.pctr


class WrongSpace(losses.ClickSpace):
    def forward(self, prediction, labels):
        return binary_cross_entropy(prediction.pcvr_logit, labels.conversion)


class ProbabilityForm(losses.EntireSpace):
    def forward(self, prediction, labels):
        p = prediction.pctr * prediction.pcvr
        y = labels.conversion
        return -(y * p.log() + (1 - y) * (1 - p).log())


def draws_globally(spec, *, funnel, seed):
    torch.rand(1)
    return models.esmm(spec, funnel=funnel, seed=seed)


def untrained_tower(spec, *, funnel, seed):
    objective = losses.Objective({"ctr": losses.EntireSpace("click")})
    return models.assemble(spec, objective, funnel=funnel, bottom=nn.MMoE, seed=seed)


def ignores_hidden_from(spec, *, funnel, seed):
    return models.esmm(replace(spec, hidden_from={}), funnel=funnel, seed=seed)


@pytest.mark.parametrize(
    ("check", "part"),
    [
        (check_bottom, ForgetsTower),
        (check_bottom, MixesRows),
        (check_head, DeadHead),
        (check_head, IgnoresOwn),
        (check_head, LeaksOwn),
        (partial(check_head, funnels=CHAINS), ClaimsConditionals),
        (check_loss, LeakyIPS()),
        (check_loss, WrongSpace()),
        (check_loss, ProbabilityForm("conversion")),
        (check_exportable, partial(models.esmm, bottom=BranchesOnData)),
        (check_model, partial(models.esmm, bottom=MixesRows)),
        (check_model, draws_globally),
        (check_model, untrained_tower),
        (check_model, ignores_hidden_from),
    ],
)
def test_the_checks_detect_a_broken_part(check, part):
    with pytest.raises(ContractError):
        check(part)
