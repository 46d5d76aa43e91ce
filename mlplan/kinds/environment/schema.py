"""The HCL schema of `environment`."""

from __future__ import annotations

from mlplan.spi.schema import (
    BOOL,
    DURATION,
    INTEGER,
    NUMBER,
    STRING,
    Argument,
    BlockSchema,
    NestedBlock,
    list_of,
    object_of,
    reference_to,
)

SUCCESS = BlockSchema(
    "A criterion that a candidate must prove, look by look.",
    {
        "metric": Argument(
            STRING,
            "What is counted.",
            required=True,
            choices=("error_rate", "p50_latency", "p95_latency", "p99_latency"),
        ),
        "no_worse_than": Argument(STRING, "Compare with the live version in the same looks.", choices=("live",)),
        "margin": Argument(NUMBER, "How much worse is still no worse.", default=0.0),
        "at_most": Argument(STRING, 'An absolute limit: "40ms" for latency, "0.01" or "1%" for a rate.'),
        "min_requests": Argument(INTEGER, "Requests to the candidate before it can pass.", default=100),
    },
)

ROLLOUT = BlockSchema(
    "How traffic moves to a new version. The label is the strategy.",
    {
        "steps": Argument(list_of(NUMBER), "Percent of traffic, rising to 100.", default=(100,)),
        "hold": Argument(DURATION, "Shortest time between steps.", default=0.0),
        "look_every": Argument(DURATION, "Time between looks.", default=2.0),
        "bake": Argument(DURATION, "How long the previous version is kept warm at 100 percent.", default=0.0),
        "smoke_test": Argument(STRING, "A command run against the candidate's own address (MLPLAN_URL)."),
        "on_failure": Argument(STRING, "When harm is proven.", default="rollback", choices=("rollback",)),
        "on_inconclusive": Argument(
            STRING,
            "When give_up_after has passed without proof.",
            default="hold",
            choices=("hold", "rollback", "promote"),
        ),
        "give_up_after": Argument(DURATION, "Longest time at one step.", default=3600.0),
    },
    {"success": NestedBlock(SUCCESS, labels=1)},
)

HEALTH = object_of(
    path=Argument(STRING, "Path that answers 200 when ready.", default="/v2/health/ready"),
    within=Argument(DURATION, "Longest time to become ready.", default=60.0),
)

PROMOTE_WHEN = object_of(
    soaked_for=Argument(DURATION, "How long the version must have been live in the environment before."),
    approvals=Argument(INTEGER, "How many approvals a version needs.", default=0),
    approved_by=Argument(list_of(STRING), "Who may approve.", default=()),
)

SCHEMA = BlockSchema(
    "A place where models are served, and the policy by which versions get there.",
    {
        "description": Argument(STRING, "What it is for."),
        "promote_from": Argument(reference_to("environment"), "Only versions that are live there come here."),
        "promote_when": Argument(PROMOTE_WHEN, "What must hold before a version comes here."),
        "protected": Argument(BOOL, "Unattended runs change it only with an approval.", default=False),
        "open_hours": Argument(STRING, 'When rollouts may start, as "Mon-Thu 09:00-16:00 Europe/London".'),
        "port": Argument(INTEGER, "Port of the endpoint; chosen once and kept when left out."),
        "health": Argument(HEALTH, "When a server counts as ready.", default={}),
    },
    {"rollout": NestedBlock(ROLLOUT, labels=1, description="Strategy: rolling, blue_green or canary.")},
    {"ready": "Whether the provider can serve here."},
)
