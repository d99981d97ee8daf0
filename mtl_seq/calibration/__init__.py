"""Calibration of pCVR after training."""

from mtl_seq.calibration.calibrate import Calibrate, Calibration

__all__ = ["Calibrate", "Calibration"]


def __dir__() -> list[str]:
    return __all__
