"""Every bottom under every head on every funnel that the head takes, as one network."""

from functools import partial

import pytest
from contract import rows

from mtl_seq import models, nn
from mtl_seq.losses import EntireSpace, Objective
from mtl_seq.testing import CHAINS, FUNNELS, check_exportable, check_model

HEADS = {
    "ParallelHead": nn.ParallelHead,
    "DBMTL": nn.DBMTL,
    "AITM": nn.AITM,
    "JointHead": nn.JointHead,
    "DependentHead": nn.DependentHead,
    "GaussianHead": nn.GaussianHead,
}
PLACES = {
    f"{name}, {' '.join(conditional.name for conditional in funnel.conditionals)}": (head, funnel)
    for name, head in HEADS.items()
    for funnel in rows.ON.get(name, {}).get("funnels", FUNNELS)
}
# Other sizes and options of a bottom meet `check_bottom`, and compose as their class does.
BOTTOMS = [part for part in rows.BOTTOMS.values() if isinstance(part, type)]
bottoms = pytest.mark.parametrize("bottom", BOTTOMS)
places = pytest.mark.parametrize(("head", "funnel"), PLACES.values(), ids=list(PLACES))


def build(spec, *, funnel, seed, bottom, head):
    """Trained on the joint of every stage, which reaches every tower."""
    objective = Objective({stage: EntireSpace(stage) for stage in funnel.names})
    return models.assemble(spec, objective, funnel=funnel, bottom=bottom, seed=seed, head=head)


@bottoms
@places
def test_every_bottom_composes_with_every_head(bottom, head, funnel):
    check_model(partial(build, bottom=bottom, head=head), funnel=funnel)


# To export takes a second or more: every bottom leaves Python under one head on one funnel, and
# every head on every funnel over the default bottom; the others, of the same parts, are slow.
DEEPEST = (nn.DBMTL, FUNNELS[-1])


def leaves(bottom, place):
    """A network to be exported, and whether it is slow."""
    head, funnel = PLACES[place]
    often = bottom is nn.MMoE or (head, funnel) == DEEPEST
    return pytest.param(
        bottom, head, funnel,
        id=f"{place}-{bottom.__name__}", marks=() if often else pytest.mark.slow,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("bottom", "head", "funnel"), [leaves(bottom, place) for place in PLACES for bottom in BOTTOMS]
)
def test_every_network_leaves_python(bottom, head, funnel):
    check_exportable(partial(build, bottom=bottom, head=head), funnel=funnel)


def test_a_place_is_there_for_every_head_and_funnel():
    assert set(HEADS.values()) == {part for part in rows.HEADS.values() if isinstance(part, type)}
    assert len(PLACES) == 2 * len(FUNNELS) + 3 * len(CHAINS) + 1
