"""The schema of `deployment`: computed from model and environment, so it has no arguments of its own in HCL."""

from __future__ import annotations

from mlplan.spi.schema import BlockSchema

SCHEMA = BlockSchema(
    "One model in one environment: which version has the traffic, and which one is on its way.",
    computed={
        "version": "Number of the live version.",
        "previous": "Number of the version before it.",
        "traffic": "Weights by version, in percent.",
        "step": "Where a running rollout stands.",
        "url": "Address of the endpoint.",
        "rejected": "Versions refused here, with the reason.",
    },
)
