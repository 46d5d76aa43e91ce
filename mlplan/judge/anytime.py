"""Intervals that hold at every look at once, for display beside the e-processes that decide.

Rate: exact for a constant rate. Difference: asymptotic, and free of drift, because only differences within looks enter.
"""

from __future__ import annotations

import math

from scipy import special


def rate_interval(events: float, total: float, alpha: float = 0.05) -> tuple[float | None, tuple[float, float] | None]:
    """Return the rate and the rates p that the beta-binomial mixture does not refuse: B(½+x, ½+n−x)/B(½, ½) < p^x
    (1−p)^(n−x)/α.

    Source: Robbins (1970), Statistical methods related to the law of the iterated logarithm; Howard et al. (2021),
    section 4.
    """
    if total <= 0:
        return None, None
    value = events / total
    mixture = float(special.betaln(0.5 + events, 0.5 + total - events) - special.betaln(0.5, 0.5))

    def refused(p: float) -> bool:
        return mixture - float(special.xlogy(events, p) + special.xlog1py(total - events, -p)) >= math.log(1 / alpha)

    def edge(inside: float, outside: float) -> float:
        if not refused(outside):
            return outside
        for _ in range(50):
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if refused(middle) else (middle, outside)
        return outside

    return value, (edge(value, 0.0), edge(value, 1.0))


TUNED_FOR = 200.0
"""Effective requests (nc·ns/(nc + ns)) at which the interval of the difference is narrowest relative to a fixed-time
one."""


def difference_interval(
    totals: tuple[float, float, float, float], paired: tuple[float, float, float, float], alpha: float = 0.05
) -> tuple[float | None, tuple[float, float] | None]:
    """Return candidate minus stable rate, weighted over looks (Mantel-Haenszel), and its asymptotic confidence
    sequence.

    totals: candidate events, requests, stable events, requests. paired: Σw, Σw·(pc − ps), Σw²/nc, Σw²/ns with w =
    nc·ns/(nc + ns). Half-width √((V + v0)·log((V + v0)/(v0·α²)))/Σw with V the variance of Σw·(pc − ps). Source:
    Robbins' normal mixture, as in Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2024), Time-uniform central limit
    theory, Annals of Statistics 52, theorem 2.2.
    """
    weight, total = paired[0], paired[1]
    if weight <= 0:
        return None, None
    spread = [(x + 0.5) / (n + 1) * (1 - (x + 0.5) / (n + 1)) for x, n in (totals[:2], totals[2:])]
    variance = spread[0] * paired[2] + spread[1] * paired[3]
    prior = max(spread) * TUNED_FOR
    half = math.sqrt((variance + prior) * math.log((variance + prior) / (prior * alpha * alpha))) / weight
    value = total / weight
    return value, (max(-1.0, value - half), min(1.0, value + half))
