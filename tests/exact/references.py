"""Every counterfactual method once more, in NumPy, from the formulas of its paper.

Written row by row with loops, in probabilities and not in logits, and without a look at the tensors
of the package: o click, r conversion, p propensity, q pCVR, t the imputed label, s = q* of DCMT,
c the teacher of DDPO, u the unconverted of ChorusCVR. Each returns the value of the whole batch.
"""

import math


def bce(q, y):
    return -(y * math.log(q) + (1 - y) * math.log(1 - q))


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def rows(*columns):
    return zip(*(column.tolist() for column in columns), strict=True)


def naive(o, r, q):
    """Over impressions, so that it is the click rate times the mean over clicks."""
    return mean(bce(qi, ri) if oi else 0.0 for oi, ri, qi in rows(o, r, q))


def ctcvr(o, r, p, q):
    """ESMM's second loss: the label is 1 for a click that converted."""
    return mean(bce(pi * qi, oi * ri) for oi, ri, pi, qi in rows(o, r, p, q))


def ips(o, r, p, q):
    return mean(oi * bce(qi, ri) / pi for oi, ri, pi, qi in rows(o, r, p, q))


def snips(o, r, p, q):
    top = sum(oi * bce(qi, ri) / pi for oi, ri, pi, qi in rows(o, r, p, q))
    return top / sum(oi / pi for oi, pi in rows(o, p))


def dr(o, r, p, q, t):
    total = 0.0
    for oi, ri, pi, qi, ti in rows(o, r, p, q, t):
        imputed = bce(qi, ti)
        total += imputed + (oi * (bce(qi, ri) - imputed) / pi if oi else 0.0)
    return total / len(o)


def self_normalised_dr(o, r, p, q, t):
    imputed = mean(bce(qi, ti) for qi, ti in rows(q, t))
    top = sum((bce(qi, ri) - bce(qi, ti)) / pi for oi, ri, pi, qi, ti in rows(o, r, p, q, t) if oi)
    return imputed + top / sum(1 / pi for oi, pi in rows(o, p) if oi)


def imputation(o, r, p, q, t, weight):
    """``weight(p) (e - e_hat)^2`` on clicks."""
    return mean(
        weight(pi) * (bce(qi, ri) - bce(qi, ti)) ** 2 if oi else 0.0
        for oi, ri, pi, qi, ti in rows(o, r, p, q, t)
    )


def dr_jl(p):
    return 1 / p


def mrdr(p):
    return (1 - p) / p**2


def dr_bias(p):
    return (1 - p) ** 2 / p**3


def dr_mse(p, share):
    return share * dr_bias(p) + (1 - share) * mrdr(p)


def dcmt(o, r, p, q, s, prior):
    """IPS form."""
    total = 0.0
    for oi, ri, pi, qi, si in rows(o, r, p, q, s):
        total += bce(qi, ri) / pi if oi else bce(si, 1) / (1 - pi)
        total += prior * abs(1 - (qi + si))
    return total / len(o)


def dcmt_self_normalised(o, r, p, q, s, prior):
    clicked = sum(1 / pi for oi, pi in rows(o, p) if oi)
    missed = sum(1 / (1 - pi) for oi, pi in rows(o, p) if not oi)
    total = 0.0
    for oi, ri, pi, qi, si in rows(o, r, p, q, s):
        if oi:
            total += bce(qi, ri) * (1 / pi) / clicked
        else:
            total += bce(si, 1) * (1 / (1 - pi)) / missed
    return total + prior * mean(abs(1 - (qi + si)) for qi, si in rows(q, s))


def nise(o, r, p, q, alpha, beta):
    """Where the bound is not met its value, not its gradient, is alpha times that of CTR."""
    ctr = mean(bce(pi, oi) for oi, pi in rows(o, p))
    cvr = mean(bce(qi, ri) if oi else bce(qi, qi) for oi, ri, qi in rows(o, r, q))
    return alpha * min(ctr / cvr, beta) * cvr


def ddpo(o, r, p, q, c, soft):
    """Self-normalised, as in the paper's equation 15."""
    clicked = sum(1 / pi for oi, pi in rows(o, p) if oi)
    missed = sum(1 / (1 - pi) for oi, pi in rows(o, p) if not oi)
    total = 0.0
    for oi, ri, pi, qi, ci in rows(o, r, p, q, c):
        if oi:
            label = ci if soft and ri == 0 else ri
            total += (1 / pi) / clicked * bce(qi, label)
        else:
            total += (1 / (1 - pi)) / missed * bce(qi, ci)
    return total


def conversion_propensity(o, r, c):
    return mean(bce(ci, ri) if oi else 0.0 for oi, ri, ci in rows(o, r, c))


def direct(q, c):
    """The twin's probability is the label, on every impression."""
    return mean(bce(qi, ci) for qi, ci in rows(q, c))


def click_unconverted(o, r, p, u):
    return mean(bce(pi * ui, oi * (1 - ri)) for oi, ri, pi, ui in rows(o, r, p, u))


def unconverted_ips(o, r, p, u):
    return mean(bce(ui, 1 - ri) / pi if oi else 0.0 for oi, ri, pi, ui in rows(o, r, p, u))


def soft_alignment(o, p, q, u):
    total = 0.0
    for oi, pi, qi, ui in rows(o, p, q, u):
        weight = 1 / pi if oi else 1 / (1 - pi)
        total += weight * (bce(qi, 1 - ui) + bce(ui, 1 - qi))
    return total / len(o)


def floored(p, floor):
    """Propensities below the floor are raised to it."""
    return p.clip(floor, None)
