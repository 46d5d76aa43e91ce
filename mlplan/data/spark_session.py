"""The Java process behind the Spark engine: started once for this process, ended with it, its log in a file.

One session serves every contract that names the same master and settings; for another master it is made anew when
nobody uses the one before.
"""

from __future__ import annotations

import atexit
import logging
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplan.data.failure import QueryFailed

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MASTER_SETTING = "MLPLAN_SPARK_MASTER"
_PATIENCE = 180.0
"""Seconds until a Java process must have answered: a loaded machine takes a minute."""

_QUICK = "-XX:+UseSerialGC -Xshare:auto"

_LOG = """rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n
"""


@dataclass
class _Gateway:
    """The Java process. users: engines that use the session of `key`."""

    process: subprocess.Popen[bytes] | None = None
    folder: tempfile.TemporaryDirectory[str] | None = None
    session: Any = None
    key: tuple[Any, ...] = ()
    users: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)


_gateway = _Gateway()


@contextmanager
def session(master: str | None, settings: Mapping[str, str], memory: int) -> Iterator[SparkSession]:
    """Lend the session of a master. memory: bytes of the Java heap when it is started. Raises QueryFailed."""
    chosen = master or os.environ.get(MASTER_SETTING) or "local[*]"
    key = (chosen, tuple(sorted(settings.items())))
    with _gateway.changed:
        while _gateway.users and _gateway.key != key:
            _gateway.changed.wait()
        if _gateway.key != key or _gateway.session is None or _lost():
            stop()
            try:
                _gateway.session = _start(chosen, settings, memory)
            except QueryFailed:
                stop()
                raise
            _gateway.key = key
        _gateway.users += 1
    try:
        yield _gateway.session
    finally:
        with _gateway.changed:
            _gateway.users -= 1
            _gateway.changed.notify_all()


def stop() -> None:
    """End the session and its Java process."""
    process, _gateway.process = _gateway.process, None
    spark, _gateway.session = _gateway.session, None
    if spark is not None:
        _forget(spark, alive=process is not None and process.poll() is None)
    if process is not None:
        if process.stdin is not None:
            process.stdin.close()  # the Java side leaves when its input ends
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if _gateway.folder is not None:
        _gateway.folder.cleanup()
        _gateway.folder = None


atexit.register(stop)


def _lost() -> bool:
    process = _gateway.process
    return process is None or process.poll() is not None or _gateway.session._jsc.sc().isStopped()


def _forget(spark: Any, alive: bool) -> None:
    """Make pyspark forget a session, so that the next one starts a Java process of its own."""
    from py4j.protocol import Py4JError
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    try:
        if alive:
            spark.stop()
        if SparkContext._gateway is not None:
            SparkContext._gateway.shutdown()
    except (Py4JError, OSError):
        alive = False  # the Java side went first; what is left of it is forgotten below
    SparkContext._gateway = SparkContext._jvm = SparkContext._active_spark_context = None
    SparkSession._instantiatedSession = None


def _start(master: str, settings: Mapping[str, str], memory: int) -> SparkSession:
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    logging.getLogger("SQLQueryContextLogger").disabled = True  # pyspark prints there what it raises
    port, secret = _launch(master, memory)
    builder = SparkSession.builder.appName("mlplan").master(master)
    for name, value in {**_defaults(master), **settings, **_FIXED}.items():
        builder = builder.config(name, value)
    given = {"PYSPARK_GATEWAY_PORT": port, "PYSPARK_GATEWAY_SECRET": secret}
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)  # pyspark takes the address of a running Java process from nowhere else
    try:
        return builder.getOrCreate()
    except (PySparkException, Py4JError, OSError) as error:
        reason = _sentence(str(error))
        raise QueryFailed("engine", f'Spark cannot be started with the master "{master}": {reason}') from error
    finally:
        for name, earlier in before.items():
            if earlier is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = earlier


_FIXED = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.caseSensitive": "true",
    "spark.sql.legacy.parquet.nanosAsLong": "true",
    "spark.sql.csv.parser.columnPruning.enabled": "false",  # otherwise a row of the wrong width is not noticed
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.ui.showConsoleProgress": "false",
}
"""What the meaning of a check rests on; no setting of a contract changes it."""


def _defaults(master: str) -> dict[str, str]:
    defaults = {"spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "32"}
    if master.startswith("local") or "//127.0.0.1" in master or "//localhost" in master:
        defaults |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    if master.startswith("local"):
        defaults["spark.sql.shuffle.partitions"] = str(2 * len(os.sched_getaffinity(0)))
    return defaults


def _launch(master: str, memory: int) -> tuple[str, str]:
    """Start the Java process, its output in a file and its input a pipe; return port and secret of its gateway."""
    from pyspark.find_spark_home import _find_spark_home
    from pyspark.serializers import UTF8Deserializer, read_int

    _gateway.folder = tempfile.TemporaryDirectory(prefix="mlplan-spark-")
    folder = Path(_gateway.folder.name)
    (folder / "log4j2.properties").write_text(_LOG)
    note = folder / "connection"
    options = f"{_QUICK if master.startswith('local') else ''} -Dlog4j2.configurationFile=file:{folder}/log4j2.properties -Djava.io.tmpdir={folder}"
    environment = {
        **os.environ, "_PYSPARK_DRIVER_CONN_INFO_PATH": str(note),
        "SPARK_SUBMIT_OPTS": f"{os.environ.get('SPARK_SUBMIT_OPTS', '')} {options}".strip(), "SPARK_LOCAL_DIRS": str(folder),
    }  # fmt: skip
    if master.startswith("local"):
        environment.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    home = _find_spark_home()
    command = [f"{home}/bin/spark-submit", "--driver-memory", f"{max(memory, 2**29) // 2**20}m", "pyspark-shell"]
    with (folder / "log").open("wb") as log:
        _gateway.process = subprocess.Popen(  # noqa: S603  (pyspark's own program)
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment, start_new_session=True
        )
    deadline = time.monotonic() + _PATIENCE
    while not note.exists() and _gateway.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    if not note.exists():
        tail = (folder / "log").read_text(errors="replace")
        raise QueryFailed("engine", f"Spark's Java process did not start: {_sentence(tail)}")
    with note.open("rb") as file:
        return str(read_int(file)), str(UTF8Deserializer().loads(file))


def _sentence(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("at ")]
    reason = next((line for line in lines if "JAVA_HOME" in line or "Exception" in line or "rror" in line), "")
    return (reason or (lines[-1] if lines else "it said nothing"))[:400]
