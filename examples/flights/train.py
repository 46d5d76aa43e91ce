"""Trains the model of the flights example. Started by mlplan as a job; what it needs comes from the model block:

params.max_iter, learning_rate, max_leaf_nodes   of the gradient boosted trees
params.weather    "raw"     the readings as they are; a missing reading is a missing value to the trees
                  "binned"  temperature, dew point, humidity, wind and pressure in 40 classes each
"""

from __future__ import annotations

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OrdinalEncoder

import mlplan.job

CATEGORIES = ["carrier", "origin", "dest", "weekday"]
SCHEDULE = ["hour", "minute", "distance"]
GRADUAL = ["temp", "dewp", "humid", "wind_speed", "pressure"]
SKY = ["precip", "visib"]
FEATURES = [*CATEGORIES, *SCHEDULE, *GRADUAL, *SKY]


def build(weather: str, seed: int, **trees: float) -> Pipeline:
    """Return the unfitted pipeline; it takes the columns of FEATURES by name."""
    if weather not in ("raw", "binned"):
        raise SystemExit(f'params.weather is "{weather}"; it can be "raw" or "binned".')
    # Airlines open new routes: a destination that was never seen is a missing value, not an error.
    categories = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    if weather == "raw":
        rest = [("as_they_are", "passthrough", [*SCHEDULE, *GRADUAL, *SKY])]
    else:
        bins = KBinsDiscretizer(40, encode="ordinal", strategy="uniform")
        rest = [("schedule", "passthrough", SCHEDULE), ("gradual", bins, GRADUAL), ("sky", "passthrough", SKY)]
    columns = ColumnTransformer([("categories", categories, CATEGORIES), *rest])
    model = HistGradientBoostingClassifier(
        categorical_features=[name in CATEGORIES for name in FEATURES], early_stopping=False, random_state=seed, **trees
    )
    return make_pipeline(columns, model)


def main() -> None:
    job = mlplan.job.load()
    flights = job.frame("train")
    late = flights[job.label("train")].to_numpy(dtype=bool)
    print(f"{len(flights):,} flights, {late.mean():.1%} of them late", flush=True)
    params = dict(job.params)
    pipeline = build(params.pop("weather"), job.seed, **params)
    pipeline.fit(flights[FEATURES], late)
    sample = flights.sample(n=min(10_000, len(flights)), random_state=job.seed)
    score = pipeline.predict_proba(sample[FEATURES])[:, 1]
    job.report(1.0, auc_on_training_rows=roc_auc_score(sample[job.label("train")].to_numpy(dtype=bool), score))
    job.save(pipeline, features=FEATURES)


if __name__ == "__main__":
    main()
