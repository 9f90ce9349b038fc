"""The shipped evaluations that ask questions keep the contract that `mta_lab.testing` checks."""

from mta_lab.testing.question_conformance import *  # noqa: F403  # its tests and its hook
