"""Moderated variances: the rows' own ones, shrunk towards their mean as far as they are alike.

With three to five seeds a row's own variance is a poor estimate, and one variance for all rows is
wrong where rows differ in noise. Empirical Bayes stands between the two: rows' true variances are
taken for draws from a scaled inverse chi-squared distribution, whose spread the table itself tells
(Smyth 2004, "Linear models and empirical Bayes methods for assessing differential expression in
microarray experiments", Statistical Applications in Genetics and Molecular Biology 3).
"""

import numpy as np
from scipy.special import chdtri, digamma, polygamma

from mta_lab.stats.contrasts import Array

DOUBT = 0.05
"""chance that the rows are less alike than is assumed: a few variances look alike by luck"""
ALIKE = 1e6  # prior degrees of freedom that stand for infinitely many
LEAST = 1e-3  # residual degrees of freedom below which a row tells nothing of its variance


def moderated(variances: Array, degrees: Array) -> tuple[Array, Array]:
    """Return the variances shrunk towards their mean, and the prior's degrees of freedom.

    `variances` are (..., rows), each estimated with `degrees` (rows) of freedom. The prior is worth
    as many degrees of freedom (...) as the lower end of a one-sided 95 % interval allows:
    infinitely many (`ALIKE`) where the variances differ less than chance makes them, 0 where
    nothing can be told, as of one row or two. A row's shrunk variance has its own degrees and the
    prior's.
    """
    telling = degrees > LEAST
    if telling.sum() < 3:
        return variances, np.zeros(variances.shape[:-1])
    own = degrees[telling]
    # Of log variances: their mean and variance are known functions of the degrees of freedom.
    logs = np.log(variances[..., telling]) - digamma(own / 2) + np.log(own / 2)
    free = own.size - 1
    most = logs.var(axis=-1) * own.size / chdtri(free, 1 - DOUBT)
    prior = 2 * _inverse_trigamma(np.maximum(most - polygamma(1, own / 2).mean(), polygamma(1, ALIKE / 2)))
    centre = variances[..., telling] @ own / own.sum()
    weighed = np.where(telling, degrees, 0.0) * np.where(telling, variances, 0.0) + (prior * centre)[..., None]
    return weighed / np.maximum(degrees + prior[..., None], LEAST), prior


def _inverse_trigamma(values: Array) -> Array:
    """Return x with trigamma(x) = `values`, by Newton's method on 1 / trigamma, which is convex."""
    x = 0.5 + 1 / values
    for _ in range(8):  # four reach full precision from this start
        at = polygamma(1, x)
        x = x + at * (1 - at / values) / polygamma(2, x)
    return x
