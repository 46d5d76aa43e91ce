"""Tests that may be looked at whenever one likes: e-processes for a canary against the live version, look by look.

An e-process is a bet against a null hypothesis: its expectation never exceeds 1 while the null is true, at any look and
for any rule of stopping, so it reaches 1/α with chance at most α (Ville 1939). All of them condition on the look: the
null is about the two arms *within* each look, so a shared error rate may drift and traffic weights may depend on the
past in any way.

- `Ratio`   H0 "candidate rate <= rho x stable rate in every look" (side "above"), or >= (side "below");
- `Margin`  H0 "candidate rate >= stable rate + margin in every look": what proves "no worse" when hardly an error
  occurs;
- `Limit`   H0 "candidate rate <= limit in every look" (side "above"), or >= (side "below");
- `Assignment`  H0 "requests reach the candidate with the chance its weight says".

Each is a mixture of bets. A bet pays, per request, a factor that depends on the arm and on whether the request was an
event; the factors of a look are fixed before it, from looks of the past. State: frozen, plain numbers. Thresholds and
words: `analysis`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, Protocol, Self

import numpy as np
from scipy import special

from mlplan.judge.intervals import Array

Side = Literal["above", "below"]

PSI = np.array([1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0])
"""How many times worse (or better) the bets of `Ratio` and `Limit` assume the candidate to be. Shapes: (9,)."""
PSI_WEIGHT = np.array([0.05, 0.1, 0.15, 0.15, 0.15, 0.1, 0.1, 0.1, 0.1])
BELOW_WEIGHT = np.array([0.08, 0.1, 0.12, 0.12, 0.08, 0.05, 0.1, 0.1, 0.25])
"""Most on no events at all: what a healthy service shows."""

MEANS = np.array([1e-4, 1e-3, 5e-3, 0.02, 0.05, 0.15, 0.4])
"""Rates that the bets of `Margin` assume before anything is seen. Shapes: (7,)."""
PRIOR_REQUESTS = 50.0
FADE = 0.8
"""How much of the past a forgetting bet carries over a look."""
_SHAPE = np.array([0.35, 0.13, 0.13, 0.13, 0.13, 0.08, 0.05])
MARGIN_WEIGHT = np.concatenate([0.7 * _SHAPE, 0.15 * _SHAPE, 0.15 * _SHAPE])


@dataclass(frozen=True)
class Counts:
    """Events and requests of both arms within one look. Fractions are allowed: counts divided by a design effect."""

    candidate_events: float
    candidate_total: float
    stable_events: float = 0.0
    stable_total: float = 0.0

    def thinned(self, design_effect: float) -> Counts:
        """Return the counts over a design effect of at least 1 (Fano factor of bursts): e becomes e^(1/effect), still
        an e-process."""
        k = max(design_effect, 1.0)
        return Counts(
            self.candidate_events / k, self.candidate_total / k, self.stable_events / k, self.stable_total / k
        )

    def array(self) -> Array:
        """Return events and non-events of candidate, then of stable. Shapes: (4,)."""
        c, s = self.candidate_events, self.stable_events
        return np.array([c, self.candidate_total - c, s, self.stable_total - s], dtype=np.float64)


class Process(Protocol):
    """What every e-process can do."""

    @property
    def log_e(self) -> float:
        """Return the natural logarithm of the evidence against the null, now."""
        ...

    @property
    def peak(self) -> float:
        """Return the highest `log_e` so far: what was proven once stays proven (Ville's bound is on the supremum)."""
        ...


def ratio_payoff(candidate: Array, stable: Array, rho: float, psi: Array) -> Array:
    """Return the log factor per (candidate event, other, stable event, other) of every bet of `Ratio`.

    With S = nc·ρ + ns and S' = nc·ρψ + ns the factors are ψS/S' and S/S', which is (q1/q0, (1−q1)/(1−q0)) of the
    design. Given the totals E[e] <= exp((ψ−1)/S' · nc·ns·(pc − ρ·ps)) <= 1. Shapes: candidate, stable (...,), psi (j,)
    -> (..., 4, j).
    """
    c, s = np.asarray(candidate)[..., None] * rho, np.asarray(stable)[..., None]
    both = (c > 0) & (s > 0)
    down = np.where(both, np.log(np.where(both, (c + s) / np.where(both, c * psi + s, 1.0), 1.0)), 0.0)
    up = np.where(both, np.log(psi) + down, 0.0)
    zero = np.zeros_like(up)
    return np.stack([up, zero, down, zero], axis=-2)


def margin_payoff(candidate: Array, stable: Array, theta_c: Array, theta_s: Array, margin: float) -> Array:
    """Return the log factor per (candidate event, other, stable event, other) of bets on (theta_c, theta_s) against pc
    >= ps + margin.

    The null is convex; (pc°, ps°) is its point nearest to theta in nc·KL(θc‖pc) + ns·KL(θs‖ps), found on pc = ps +
    margin by bisection, and the factors are θ/p° and (1−θ)/(1−p°). By the optimality of p°, E[e] <= exp(−∇(p°)·(p −
    p°)) <= 1 for every p in the null and any block sizes. A theta inside the null bets nothing. Shapes: candidate,
    stable (...,), theta (..., j) -> (..., 4, j). Source: Turner, Ly & Grünwald (2024), Generic E-variables for exact
    sequential k-sample tests, theorem 1 and section 4.
    """
    c, s = np.asarray(candidate, dtype=np.float64)[..., None], np.asarray(stable, dtype=np.float64)[..., None]
    low, high = np.zeros(np.broadcast(c, theta_s).shape), np.full(np.broadcast(c, theta_s).shape, 1.0 - margin)
    for _ in range(45):
        p = (low + high) / 2
        q = p + margin
        rising = c * (q - theta_c) / (q * (1 - q)) + s * (p - theta_s) / (p * (1 - p)) > 0
        low, high = np.where(rising, low, p), np.where(rising, p, high)
    p = (low + high) / 2
    q = p + margin
    bets = (c > 0) & (s > 0) & (theta_c < theta_s + margin)
    factors = [theta_c / q, (1 - theta_c) / (1 - q), theta_s / p, (1 - theta_s) / (1 - p)]
    return np.stack([np.where(bets, np.log(f), 0.0) for f in factors], axis=-2)


def limit_payoff(limit: float, side: Side) -> Array:
    """Return the log factor per (event, other, 0, 0) of bets on rates whose odds are ψ times those of the limit, or 1/ψ
    times.

    E[e] = (1 + (p − L)(θ − L)/(L(1 − L)))^n <= 1 while p is on the null's side of L. Shapes: -> (4, 9).
    """
    odds = limit / (1 - limit) * (PSI if side == "above" else 1 / PSI)
    theta = odds / (1 + odds)
    zero = np.zeros_like(theta)
    return np.stack([np.log(theta / limit), np.log((1 - theta) / (1 - limit)), zero, zero])


def predictions(past: Array) -> tuple[Array, Array]:
    """Return the bets of `Margin`: pooled rate of all the past, pooled rate of the recent past, each arm's own rate.

    Shapes: past (..., 8): candidate events, requests, stable events, requests, then the same faded; returns (..., 21)
    twice.
    """
    whole, recent = past[..., :4, None], past[..., 4:, None]

    def rate(events: Array, requests: Array) -> Array:
        return np.asarray((PRIOR_REQUESTS * MEANS + events) / (PRIOR_REQUESTS + requests))

    pooled = [rate(x[..., 0, :] + x[..., 2, :], x[..., 1, :] + x[..., 3, :]) for x in (whole, recent)]
    candidate, stable = rate(whole[..., 0, :], whole[..., 1, :]), rate(whole[..., 2, :], whole[..., 3, :])
    return np.concatenate([*pooled, candidate], axis=-1), np.concatenate([*pooled, stable], axis=-1)


def remembered(past: Array, counts: Array) -> Array:
    """Return the past after a look. Shapes: past (..., 8), counts (..., 4): candidate events, others, stable events,
    others."""
    seen = np.stack(
        [counts[..., 0], counts[..., 0] + counts[..., 1], counts[..., 2], counts[..., 2] + counts[..., 3]], -1
    )
    return np.concatenate([past[..., :4] + seen, FADE * past[..., 4:] + seen], axis=-1)


def mixed(logs: Array, weights: Array) -> Array:
    """Return the logarithm of the weighted mean of bets. Shapes: logs (..., j), weights (j,) -> (...,)."""
    return np.asarray(special.logsumexp(logs, b=weights, axis=-1))


@dataclass(frozen=True)
class _Mixture:
    """Bets with their logarithms so far."""

    logs: tuple[float, ...] = ()
    peak: float = 0.0

    def _weights(self) -> Array:
        raise NotImplementedError

    def _payoff(self, counts: Counts) -> Array:
        raise NotImplementedError

    @property
    def log_e(self) -> float:
        return float(mixed(np.array(self.logs), self._weights())) if self.logs else 0.0

    def after(self, counts: Counts) -> Self:
        """Return the process after one more look."""
        gained = counts.array() @ self._payoff(counts)
        logs = (np.array(self.logs) if self.logs else np.zeros_like(gained)) + gained
        return replace(self, logs=tuple(logs.tolist()), peak=max(self.peak, float(mixed(logs, self._weights()))))


@dataclass(frozen=True)
class Ratio(_Mixture):
    """The ratio e-process. rho: 1 asks "worse than live at all", 1.1 "worse by more than a tenth"."""

    rho: float = 1.0
    side: Side = "above"

    def _weights(self) -> Array:
        return PSI_WEIGHT

    def _payoff(self, counts: Counts) -> Array:
        psi = PSI if self.side == "above" else 1 / PSI
        return ratio_payoff(np.array(counts.candidate_total), np.array(counts.stable_total), self.rho, psi)


@dataclass(frozen=True)
class Limit(_Mixture):
    """The e-process of one arm against a fixed rate in (0, 1)."""

    limit: float = 0.05
    side: Side = "above"

    def _weights(self) -> Array:
        return PSI_WEIGHT if self.side == "above" else BELOW_WEIGHT

    def _payoff(self, counts: Counts) -> Array:
        return limit_payoff(min(max(self.limit, 1e-9), 1 - 1e-9), self.side)


@dataclass(frozen=True)
class Margin(_Mixture):
    """The block e-process against "worse by the margin or more". margin: difference of rates in [0, 1)."""

    margin: float = 0.0
    past: tuple[float, ...] = (0.0,) * 8

    def _weights(self) -> Array:
        return MARGIN_WEIGHT

    def _payoff(self, counts: Counts) -> Array:
        theta_c, theta_s = predictions(np.array(self.past))
        return margin_payoff(
            np.array(counts.candidate_total), np.array(counts.stable_total), theta_c, theta_s, self.margin
        )

    def after(self, counts: Counts) -> Self:
        past = remembered(np.array(self.past), counts.array())
        return replace(super().after(counts), past=tuple(past.tolist()))


@dataclass(frozen=True)
class Assignment:
    """The sample-ratio e-process: beta-binomial against binomial, a new factor whenever the weight changes.

    settled: log e of weights of the past. Source: Lindon & Malek (2022), NeurIPS 35, equation 12
    (Dirichlet-multinomial, two arms).
    """

    weight: float = 0.0
    candidate: float = 0.0
    stable: float = 0.0
    settled: float = 0.0
    peak: float = 0.0

    @property
    def log_e(self) -> float:
        if not 0 < self.weight < 1:
            return self.settled
        logs = []
        for prior in (10.0, 1000.0):
            a, b = prior * self.weight, prior * (1 - self.weight)
            logs.append(special.betaln(a + self.candidate, b + self.stable) - special.betaln(a, b))
        null = self.candidate * math.log(self.weight) + self.stable * math.log1p(-self.weight)
        return self.settled + float(special.logsumexp(logs, b=0.5)) - null

    def after(self, counts: Counts, weight: float) -> Assignment:
        """Return the process after a look during which the candidate had `weight` (0 to 1) of the traffic."""
        same = self if weight == self.weight else Assignment(weight, settled=self.log_e, peak=self.peak)
        grown = replace(
            same, candidate=same.candidate + counts.candidate_total, stable=same.stable + counts.stable_total
        )
        return replace(grown, peak=max(grown.peak, grown.log_e))


def expected_requests(
    process: Ratio | Limit | Margin,
    candidate_rate: float,
    stable_rate: float,
    share: float,
    odds: float,
    power: float = 0.8,
) -> float | None:
    """Return about how many requests (of both arms) it takes to reach evidence `odds` to 1 with chance `power`; None
    for never.

    share: of the traffic that the candidate gets, in (0, 1). For constant rates: n·g − z·√(n·v) = log(odds/weight) over
    the best bet, with g and v the mean and variance of a bet's log factor per request.
    """
    rates = [(share, candidate_rate), (1 - share, stable_rate)]
    if isinstance(process, Margin):
        theta = [np.full(1, min(max(r, 1e-6), 1 - 1e-6)) for _, r in rates]
        payoff = margin_payoff(np.array(share), np.array(1 - share), theta[0], theta[1], process.margin)
        weight = np.array([0.3])
    else:
        payoff, weight = process._payoff(Counts(0, share, 0, 1 - share)), process._weights()
    g, v = np.zeros(payoff.shape[-1]), np.zeros(payoff.shape[-1])
    for arm, (part, rate) in enumerate(rates):
        event, other = payoff[2 * arm], payoff[2 * arm + 1]
        g += part * (rate * event + (1 - rate) * other)
        v += part * rate * (1 - rate) * (event - other) ** 2
    grows = g > 1e-12
    if not grows.any():
        return None
    z, goal = float(special.ndtri(power)), np.log(odds / weight)[grows]
    root = (z * np.sqrt(v[grows]) + np.sqrt(z * z * v[grows] + 4 * g[grows] * goal)) / (2 * g[grows])
    return float((root**2).min())
