"""The HCL schema of `data_contract`."""

from __future__ import annotations

from mlplan.spi.schema import (
    ANY,
    BOOL,
    DURATION,
    FRACTION,
    INTEGER,
    NUMBER,
    STRING,
    Argument,
    BlockSchema,
    NestedBlock,
    list_of,
    map_of,
    object_of,
    reference_to,
)

COLUMN = object_of(
    type=Argument(STRING, 'Logical type: string, bool, int, float, "decimal(p,s)", timestamp, date.', required=True),
    nullable=Argument(BOOL, "Whether a value may be missing.", default=False),
    unique=Argument(BOOL, "Whether a value may stand in one row only.", default=False),
    between=Argument(list_of(ANY), "Lowest and highest value allowed."),
    one_of=Argument(list_of(ANY), "The only values allowed."),
    matches=Argument(STRING, "Regular expression that text must match."),
    length=Argument(list_of(INTEGER), "Shortest and longest text allowed, in characters."),
    pii=Argument(BOOL, "Personal data: masked in every message, never logged.", default=False),
    description=Argument(STRING, "What it holds."),
    severity=Argument(STRING, "What a failure does.", default="block", choices=("block", "warn")),
    label=Argument(BOOL, "The value to be predicted.", default=False),
)

SEVERITY = Argument(STRING, "What a failure does.", default="block", choices=("block", "warn"))

QUALITY = BlockSchema(
    "A rule over the rows: a metric with bounds, a row rule, or a reference to another contract's column.",
    {
        "metric": Argument(STRING, 'An aggregate: "null_fraction(column)", "mean(column)", "quantile(column, 0.5)", …'),
        "rule": Argument(STRING, "A row rule as a portable SQL expression."),
        "references": Argument(
            reference_to("data_contract"), "A column of another contract that must hold every value."
        ),
        "column": Argument(STRING, "The column that refers."),
        "at_least": Argument(NUMBER, "Lower bound, of the metric or of the fraction of rows that keep the rule."),
        "at_most": Argument(NUMBER, "Upper bound."),
        "where": Argument(STRING, "Only rows for which this SQL expression is true."),
        "severity": SEVERITY,
    },
)

DRIFT = BlockSchema(
    "A rule about how far distributions may move.",
    {
        "compare_to": Argument(
            STRING,
            'The reference: "training", "previous" (the window or snapshot before), a window such as "7d", a contract as '
            '"data_contract.NAME", or a snapshot as "sha256:…".',
            default="training",
        ),
        "columns": Argument(list_of(STRING), "Columns to compare; all features when left out."),
        "distance": Argument(
            STRING,
            "Distance; by type when left out.",
            choices=("psi", "jensen_shannon", "wasserstein", "ks", "chi2", "classifier"),
        ),
        "at_most": Argument(
            NUMBER,
            "Largest distance that is no drift, 0.2 when left out; of a classifier its AUC, 0.6 (0.5 is chance).",
        ),
        "false_alarm_rate": Argument(FRACTION, "How often identical distributions may be called drift.", default=0.01),
        "min_rows": Argument(INTEGER, "Fewer rows than this say nothing.", default=500),
        "severity": Argument(
            STRING,
            "What drift of a new snapshot does: be shown, or keep it out.",
            default="warn",
            choices=("block", "warn"),
        ),
    },
)

SPARK = BlockSchema(
    "How Spark is reached.",
    {
        "master": Argument(
            STRING,
            'The master, such as "spark://host:7077", "yarn" or "local[4]"; when left out, MLPLAN_SPARK_MASTER, then all '
            "cores of this machine.",
        ),
        "settings": Argument(map_of(ANY), 'Spark settings by name, such as "spark.executor.memory".'),
    },
)

SCHEMA = BlockSchema(
    "What a data set must look like, who owns it, and which snapshot of it is pinned.",
    {
        "description": Argument(STRING, "What a row is."),
        "owner": Argument(STRING, "Who answers for this data."),
        "source": Argument(STRING, "Path, glob or folder below the root.", required=True),
        "format": Argument(
            STRING, "File format; by suffix when left out.", choices=("parquet", "csv", "json", "arrow")
        ),
        "key": Argument(list_of(STRING), "Columns that identify a row; must be unique together."),
        "time": Argument(STRING, "The column that says when a row happened."),
        "fresh_within": Argument(DURATION, "The newest row must not be older than this."),
        "min_rows": Argument(INTEGER, "Fewer rows are a failure."),
        "columns": Argument(map_of(COLUMN), "Columns by name.", required=True),
        "missing": Argument(
            list_of(STRING), 'Texts that mean "no value" in CSV files, besides the empty one.', default=()
        ),
        "engine": Argument(
            STRING,
            "What runs the checks: DuckDB inside of mlplan, or Spark on the master that the block spark names.",
            default="duckdb",
            choices=("duckdb", "spark"),
        ),
        "strict": Argument(BOOL, "Whether undeclared columns are a failure.", default=False),
        "accept": Argument(
            STRING,
            "Whether an unattended run may advance the pin to new data.",
            default="reviewed",
            choices=("reviewed", "automatic"),
        ),
    },
    {
        "quality": NestedBlock(QUALITY, labels=1, description="Rules over the rows."),
        "spark": NestedBlock(SPARK, most=1, description='How Spark is reached, with engine = "spark".'),
        "drift": NestedBlock(
            DRIFT,
            labels=1,
            description="Rules about distributions: monitors ask them of requests, plans of new snapshots.",
        ),
    },
    {
        "snapshot": "Digest of the exact bytes in use.",
        "rows": "Rows of the snapshot.",
        "newest": "Largest value of the time column.",
        "verdict": "What the checks said.",
        "profile": "Digest of the stored distribution profile.",
        "column": "The columns, for references.",
    },
)
