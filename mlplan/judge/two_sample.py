"""Joint drift: can a classifier tell the rows of two samples apart? Finds what no column shows alone, such as a broken
pairing of two columns.

Source: D. Lopez-Paz and M. Oquab, Revisiting classifier two-sample tests, ICLR 2017, with the AUC in place of the
accuracy, so that unequal sizes do no harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlplan.judge.auc import auc_estimate, midranks
from mlplan.judge.gates import limit_text, number
from mlplan.ledger.evidence import Evidence, Verdict

if TYPE_CHECKING:
    import pandas as pd

FOLDS = 4
MOST_ROWS = 20_000
"""Rows of each sample that are used; more would find nothing of interest and cost a minute."""

_ITERATIONS = 60
_NAMED = 3
_LEAST_DROP, _LEAST_PART = 0.01, 0.2
"""A column tells when shuffling it costs so much AUC, and so large a part of what the most telling one costs."""


def judge_joint(
    subject: str,
    reference: pd.DataFrame,
    current: pd.DataFrame,
    at_most: float,
    min_rows: int = 500,
    seed: int = 0,
) -> Evidence:
    """Judge whether two samples of rows can be told apart: the AUC of a classifier, asked about rows it has not seen.

    reference, current: the same columns, numbers or texts, missing values allowed. at_most: an AUC; 0.5 is chance. It
    fails when the whole interval of the AUC is above the limit, and names the columns that tell, by how much the AUC
    falls when they are shuffled.
    """
    question = f"AUC of telling the rows apart ≤ {limit_text(at_most)}"
    columns = [c for c in reference.columns if c in current.columns]
    n = min(len(reference), len(current))
    if n < max(min_rows, 2 * FOLDS) or not columns:
        message = f"{n:,} rows in the smaller sample, at least {max(min_rows, 2 * FOLDS):,} are needed"
        message = message if columns else "the samples have no column in common"
        return Evidence(
            subject, question, Verdict.INCONCLUSIVE, method="classifier", n=n, limit=at_most, message=message
        )
    from threadpoolctl import threadpool_limits

    random = np.random.default_rng(seed)
    left, right = (_some(frame[columns], random) for frame in (reference, current))
    values, which = _encoded(left, right, columns)
    with threadpool_limits(limits=1):  # small fits lose more by waiting for threads than they win
        score, drops = _cross_fitted(values, which, random)
    found = auc_estimate(which == 1, score)
    interval = (found.low, found.high)
    verdict = Verdict.FAIL if found.low > at_most else Verdict.PASS if found.high <= at_most else Verdict.INCONCLUSIVE
    least = max(_LEAST_DROP, drops.max() * _LEAST_PART)
    telling = [columns[i] for i in np.argsort(-drops)[:_NAMED] if drops[i] > least]
    message = (
        f"a classifier tells the rows apart with AUC {number(found.value)} [{number(found.low)}, {number(found.high)}]"
    )
    message += f", wanted ≤ {limit_text(at_most)}"
    if telling and verdict is not Verdict.PASS:
        message += f"; the columns that tell: {', '.join(telling)}"
    drop_by_column = {column: float(drop) for column, drop in zip(columns, drops, strict=True)}
    return Evidence(
        subject, question, verdict, method="classifier", estimate=found.value, interval=interval, n=len(which),
        limit=at_most, details={"telling": telling, "auc_drop": drop_by_column}, message=message,
    )  # fmt: skip


def _some(frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    if len(frame) <= MOST_ROWS:
        return frame
    return frame.iloc[np.sort(random.choice(len(frame), MOST_ROWS, replace=False))]


def _encoded(
    left: pd.DataFrame, right: pd.DataFrame, columns: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return numbers of shape (rows, columns) and which sample a row is of; texts become ranks by frequency."""
    import pandas as pd

    both = pd.concat([left, right], ignore_index=True)
    made = []
    for column in columns:
        values = both[column]
        if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            made.append(values.to_numpy(dtype=np.float64, na_value=np.nan))
            continue
        text = values.astype("object").where(values.notna(), None)
        counts = text.value_counts()
        ranks = {
            value: float(rank) for rank, value in enumerate(sorted(counts.index, key=lambda v: (-counts[v], str(v))))
        }
        made.append(np.array([ranks.get(value, np.nan) for value in text], dtype=np.float64))
    table = np.column_stack(made)
    table[~np.isfinite(table)] = np.nan
    return table, np.repeat([0, 1], [len(left), len(right)])


def _cross_fitted(
    values: NDArray[np.float64], which: NDArray[np.int64], random: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the score of every row by a classifier that did not learn from it, and each column's share in the AUC.

    Shapes: values (n, columns), which (n,); score (n,), drops (columns,).
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    score = np.empty(len(which))
    drops = np.zeros(values.shape[1])
    seed = int(random.integers(2**31))
    for learn, ask in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(values, which):
        model: Any = HistGradientBoostingClassifier(
            max_iter=_ITERATIONS, max_leaf_nodes=15, min_samples_leaf=20, early_stopping=False, random_state=seed
        )
        model.fit(values[learn], which[learn])
        # scores of folds are only comparable as ranks: every fold has its own model
        asked = model.predict_proba(values[ask])[:, 1]
        score[ask] = midranks(asked) / len(ask)
        base = roc_auc_score(which[ask], asked)
        for column in range(values.shape[1]):
            shuffled = values[ask].copy()
            shuffled[:, column] = random.permutation(shuffled[:, column])
            drops[column] += (base - roc_auc_score(which[ask], model.predict_proba(shuffled)[:, 1])) / FOLDS
    return score, drops
