"""Contract checks of user-defined parts, to call from tests.

Each raises a `ContractError` that says how the part violates its contract.

>>> from mtl_seq import nn
>>> from mtl_seq.testing import check_bottom
>>> check_bottom(nn.MMoE)
"""

from mtl_seq.testing.base import ContractError
from mtl_seq.testing.bottom import check_bottom
from mtl_seq.testing.estimator import check_estimator
from mtl_seq.testing.exportable import check_exportable
from mtl_seq.testing.head import CHAINS, FUNNELS, check_head
from mtl_seq.testing.loss import check_loss
from mtl_seq.testing.model import check_model
from mtl_seq.testing.simulator import check_simulator

__all__ = [
    "CHAINS",
    "FUNNELS",
    "ContractError",
    "check_bottom",
    "check_estimator",
    "check_exportable",
    "check_head",
    "check_loss",
    "check_model",
    "check_simulator",
]


def __dir__() -> list[str]:
    return __all__
