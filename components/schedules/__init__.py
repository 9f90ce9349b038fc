"""Schedules of the learning rate, one file each."""

from components.schedules.base import FallingConfig, ScheduleConfig
from components.schedules.constant import CONSTANT, Constant
from components.schedules.cosine import Cosine
from components.schedules.inverse_square_root import InverseSquareRoot
from components.schedules.linear import LINEAR, Linear
from components.schedules.wsd import Wsd

__all__ = [
    "CONSTANT",
    "LINEAR",
    "Constant",
    "Cosine",
    "FallingConfig",
    "InverseSquareRoot",
    "Linear",
    "ScheduleConfig",
    "Wsd",
]
