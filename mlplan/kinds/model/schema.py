"""The HCL schema of `model`."""

from __future__ import annotations

from mlplan.spi.schema import (
    ANY,
    DURATION,
    FRACTION,
    INTEGER,
    NUMBER,
    SIZE,
    STRING,
    Argument,
    BlockSchema,
    NestedBlock,
    list_of,
    map_of,
    object_of,
    reference_to,
)

LIMITS = object_of(
    cpu=Argument(NUMBER, "Cores."),
    memory=Argument(SIZE, 'Memory, as "8Gi".'),
    time=Argument(DURATION, 'Longest run, as "90m".', default=3600.0),
)

TRAIN = BlockSchema(
    "How the model is made. All of it is part of the recipe, limits excepted.",
    {
        "run": Argument(STRING, "The command, split into words as a shell would, run without a shell.", required=True),
        "code": Argument(list_of(STRING), "Globs of the files that make the model what it is.", required=True),
        "data": Argument(
            map_of(reference_to("data_contract")), "Contracts by the name the script uses.", required=True
        ),
        "params": Argument(map_of(ANY), "Handed to the script as they are.", default={}),
        "seed": Argument(INTEGER, "Handed to the script.", default=0),
        "max_age": Argument(DURATION, "Retrain on a newer snapshot when the live model is older."),
        "limits": Argument(LIMITS, "What the job may use.", default={}),
        "secrets": Argument(
            map_of(STRING),
            'Environment variables of the script, by reference as "env:NAME" or from sensitive variables.',
            default={},
            sensitive=True,
        ),
    },
)

EVALUATE = BlockSchema(
    "What the model is judged on.",
    {
        "data": Argument(reference_to("data_contract"), "Rows that were not trained on.", required=True),
        "slices": Argument(list_of(STRING), "Columns whose groups are reported.", default=()),
    },
)

TEST = BlockSchema(
    "A command that must succeed before training.",
    {
        "run": Argument(STRING, "The command, split into words, run without a shell.", required=True),
        "timeout": Argument(DURATION, "Longest run.", default=600.0),
    },
)

BUDGET = object_of(
    p50_latency=Argument(DURATION, "Median time of one request to the packaged server."),
    p95_latency=Argument(DURATION, "95th percentile of it."),
    p99_latency=Argument(DURATION, "99th percentile of it."),
    memory=Argument(SIZE, "Peak memory of the packaged server."),
    size=Argument(SIZE, "Bytes of the artifact."),
)

GATE = BlockSchema(
    "A rule the trained model must pass. Exactly one of at_least, at_most, no_worse_than, across or budget.",
    {
        "metric": Argument(STRING, "A metric by its scikit-learn name."),
        "at_least": Argument(NUMBER, "The lower end of the interval must reach this."),
        "at_most": Argument(NUMBER, "The upper end of the interval must stay below this."),
        "no_worse_than": Argument(STRING, "Compare on the same rows.", choices=("live",)),
        "margin": Argument(NUMBER, "How much worse is still no worse.", default=0.0),
        "across": Argument(STRING, "A slice column whose groups are compared."),
        "largest_gap": Argument(NUMBER, "Largest difference between two groups."),
        "min_rows": Argument(INTEGER, "Smaller groups are left out and shown.", default=100),
        "confidence": Argument(FRACTION, "Of the two-sided interval.", default=0.95),
        "budget": Argument(BUDGET, "Limits of the packaged server."),
        "severity": Argument(STRING, "What a failure does.", default="block", choices=("block", "warn")),
    },
)

PACKAGE = BlockSchema(
    "How the artifact is packed.",
    {
        "trust": Argument(list_of(STRING), "Further types that the model file may hold.", default=()),
        "card": Argument(STRING, "Text for the model card."),
    },
)

DEPLOY = BlockSchema(
    "Settings of one environment.", {"replicas": Argument(INTEGER, "Equal servers behind the endpoint.", default=1)}
)

SCHEMA = BlockSchema(
    "A model: how it is trained, what it must prove, and where it is served.",
    {
        "description": Argument(STRING, "What it is for. Not part of the recipe."),
        "owner": Argument(STRING, "Who answers for it. Not part of the recipe."),
        "task": Argument(
            STRING, "What it predicts.", required=True, choices=("binary_classification", "multiclass", "regression")
        ),
        "deploy_to": Argument(list_of(reference_to("environment")), "Where it is served, in any order.", default=()),
    },
    {
        "train": NestedBlock(TRAIN, least=1, most=1),
        "evaluate": NestedBlock(EVALUATE, most=1),
        "test": NestedBlock(TEST, labels=1),
        "gate": NestedBlock(GATE, labels=1),
        "package": NestedBlock(PACKAGE, most=1),
        "deploy": NestedBlock(DEPLOY, labels=1),
    },
    {
        "recipe": "Digest of everything that makes the model what it is.",
        "artifact": "Digest of the sealed artifact.",
        "version": "Number of the accepted version.",
        "trained_at": "When it was trained, as RFC 3339.",
        "metrics": "Estimates by metric.",
        "gate": "Verdicts by gate.",
        "deployment": "Deployments by environment.",
    },
)
