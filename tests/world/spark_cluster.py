"""A standalone Spark master with one worker, on free ports of the loopback, for as long as a `with` block lasts."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path
from typing import Self

_PATIENCE = 180.0
_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


class SparkCluster:
    """Master and worker; `master` is its address. folder: for logs and the worker's files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.master = ""
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        try:
            master = "org.apache.spark.deploy.master.Master"
            found = self._start("master", [master, "--webui-port", "0"], r"Starting Spark master at (spark://\S+)")
            self.master = found
            worker = ["org.apache.spark.deploy.worker.Worker", "--cores", "2", "--memory", "1g", "--webui-port", "0"]
            self._start("worker", [*worker, "--work-dir", str(self.folder), found], r"(Successfully registered)")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, name: str, words: list[str], sign: str) -> str:
        from pyspark.find_spark_home import _find_spark_home

        log = self.folder / f"{name}.log"
        environment = {**os.environ, "SPARK_DAEMON_JAVA_OPTS": _JAVA, "SPARK_LOCAL_IP": "127.0.0.1"}
        environment["SPARK_NO_DAEMONIZE"] = "1"
        command = [
            f"{_find_spark_home()}/bin/spark-class",
            *words[:1],
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            *words[1:],
        ]
        with log.open("wb") as file:
            process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)
        self._processes.append(process)
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and process.poll() is None:
            if match := re.search(sign, log.read_text(errors="replace")):
                return match[1]
            time.sleep(0.1)
        raise RuntimeError(f"the Spark {name} did not start:\n{log.read_text(errors='replace')[-2000:]}")
