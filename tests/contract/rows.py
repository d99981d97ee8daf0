"""One row for everything that exists. A new method adds one line here."""

from functools import partial

from mtl_seq import models, nn, risks, simulate

BOTTOMS = {
    "SharedBottom": nn.SharedBottom,
    "MMoE": nn.MMoE,
    "MMoE, two small experts": partial(nn.MMoE, experts=2, hidden=(8,)),
    "SingleTask": nn.SingleTask,
    "SingleTask of MMoE": partial(nn.SingleTask, bottom=nn.MMoE),
}
HEADS = {
    "ParallelHead": nn.ParallelHead,
    "ParallelHead, linear": partial(nn.ParallelHead, hidden=()),
}
RISKS = {
    "EntireSpace, CTR": risks.EntireSpace("click"),
    "EntireSpace, CTCVR": risks.EntireSpace("conversion"),
    "ClickSpace": risks.ClickSpace(),
    "IPS": risks.IPS(),
    "IPS, absolute floor": risks.IPS(risks.PropensityPolicy(floor=0.1)),
    "DoublyRobust": risks.DoublyRobust(),
    "Imputation": risks.Imputation(),
    "PotentialOutcome": risks.PotentialOutcome(),
}
MODELS = {
    "click_space": models.click_space,
    "multitask": models.multitask,
    "esmm": models.esmm,
    "escm2_ips": models.escm2_ips,
    "escm2_dr": models.escm2_dr,
    "oracle": models.oracle,
}
SIMULATORS = {
    "LogisticFunnel": simulate.LogisticFunnel(users=300, items=100),
    "LogisticFunnel, MNAR": simulate.LogisticFunnel(users=300, items=100, mnar=1.5),
    "LogisticFunnel, confounded": simulate.LogisticFunnel(
        users=300, items=100, confounder=1.0, mnar=-1.0
    ),
    **{name: simulate.scenario(name) for name in simulate.scenarios()},
}
