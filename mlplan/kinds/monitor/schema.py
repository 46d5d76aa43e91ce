"""The HCL schema of `monitor`."""

from __future__ import annotations

from mlplan.spi.schema import (
    DURATION,
    FRACTION,
    INTEGER,
    NUMBER,
    RATE,
    STRING,
    Argument,
    BlockSchema,
    NestedBlock,
    list_of,
    object_of,
    reference_to,
)

RATE_LIMIT = object_of(at_most=Argument(FRACTION, "Largest fraction."))
LATENCY_LIMIT = object_of(at_most=Argument(DURATION, "Longest time."))
MEMORY_LIMIT = object_of(at_most=Argument(NUMBER, "Largest share of the memory limit."))

WATCH = BlockSchema(
    "One thing to watch.",
    {
        "drift": Argument(reference_to("data_contract"), "A drift rule of a contract, over what was really sent."),
        "in_a_row": Argument(INTEGER, "Windows that must fail one after the other.", default=1),
        "error_rate": Argument(RATE_LIMIT, "Share of requests answered with an error."),
        "p95_latency": Argument(LATENCY_LIMIT, "95th percentile of the time to answer."),
    },
)

ON_BREACH = BlockSchema(
    "What to do when a watch breaches. The label names the watch.",
    {
        "do": Argument(
            STRING, "The answer.", required=True, choices=("alert", "rollback", "retrain", "propose_retrain")
        ),
        "cooldown": Argument(DURATION, "Shortest time between two answers.", default=0.0),
        "at_most": Argument(RATE, 'Budget of answers, as "4/month".'),
        "notify": Argument(list_of(STRING), "Whom to tell.", default=()),
    },
)

SCHEMA = BlockSchema(
    "Watches a model where it is served, and answers breaches.",
    {
        "description": Argument(STRING, "What it is for."),
        "model": Argument(reference_to("model"), "The model.", required=True),
        "environment": Argument(reference_to("environment"), "Where.", required=True),
        "every": Argument(DURATION, "Length of a window.", default=3600.0),
    },
    {"watch": NestedBlock(WATCH, labels=1, least=1), "on_breach": NestedBlock(ON_BREACH, labels=1)},
    {
        "verdict": "The worst verdict of its watches.",
        "since": "Since when it is breached.",
        "watch": "Verdicts by watch.",
    },
)
