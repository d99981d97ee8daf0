"""Calibration of pCVR after training."""

from mtl_seq.calibration.calibrate import Calibration, fit_calibration, fit_map

__all__ = ["Calibration", "fit_calibration", "fit_map"]


def __dir__() -> list[str]:
    return __all__
