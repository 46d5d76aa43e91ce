"""Real serving processes: ready, answers, refusals, drain."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mlplan.artifact.schema import RequestSchema
from mlplan.artifact.seal import SealRequest, seal
from tests.unit.artifact.training import COLUMNS, PROBE, boosting, train
from tests.unit.serve.serving import ROW, Server, listener, server

BODY = json.dumps({"instances": [ROW]}).encode()


@pytest.fixture(scope="module")
def log_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log")


@pytest.fixture(scope="module")
def running(sealed: Any, log_folder: Path) -> Iterator[Server]:
    with server(sealed.path, "--log-dir", str(log_folder), "--max-body", "20000") as found:
        found.wait_ready()
        yield found


def test_predictions_carry_version_and_request_id(running: Server) -> None:
    status, headers, answer = running.ask("POST", "/predict", {"instances": [ROW, ROW]}, {"x-request-id": "mine-1"})
    assert (status, headers["x-mlplan-model-version"], headers["x-request-id"]) == (200, "v3", "mine-1")
    assert (answer["model"], answer["version"], len(answer["predictions"])) == ("flights", "v3", 2)
    assert 0 <= answer["predictions"][0]["score"] <= 1
    assert isinstance(answer["predictions"][0]["prediction"], bool)


def test_all_forms_give_the_same_answer(running: Server) -> None:
    expected = running.ask("POST", "/predict", {"instances": [ROW]})[2]["predictions"]
    csv = b"distance,carrier,dep_delay\n900,AA,3.5\n"
    split = {"dataframe_split": {"columns": list(ROW), "data": [list(ROW.values())]}}
    assert running.ask("POST", "/invocations", {"instances": [ROW]})[2]["predictions"] == expected
    assert running.ask("POST", "/invocations", csv, {"content-type": "text/csv"})[2]["predictions"] == expected
    assert running.ask("POST", "/invocations", split)[2]["predictions"] == expected
    assert running.ask("POST", "/invocations", {"dataframe_records": [ROW]})[2]["predictions"] == expected
    tensors = [{"name": name, "shape": [1, 1], "datatype": "X", "data": [[value]]} for name, value in ROW.items()]
    for path in ("/v2/models/flights/infer", "/v2/models/flights/versions/v3/infer"):
        status, _, answer = running.ask("POST", path, {"id": "r7", "inputs": tensors})
        assert (status, answer["id"], answer["model_version"]) == (200, "r7", "v3")
        outputs = {output["name"]: output for output in answer["outputs"]}
        assert outputs["score"]["data"] == [expected[0]["score"]]
        assert outputs["prediction"]["datatype"] == "BOOL"


def test_a_missing_value_is_null_and_key_columns_may_be_given(running: Server) -> None:
    row = {**ROW, "dep_delay": None, "flight": 17, "at": "2013-05-01T10:00:00Z", "tail": "N1"}
    assert running.ask("POST", "/predict", {"instances": [row]})[0] == 200


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        (b"", 400, None),
        (b"{", 400, None),
        (b'{"instances": ' + b"[" * 15_000, 422, "$.instances[0]"),
        (b'{"instances": [{"carrier": "\xff"}]}', 400, None),
        ({"instances": []}, 422, "$.instances"),
        ({"rows": []}, 422, "$.instances"),
        ([1], 422, "$"),
        ({"instances": [ROW, {**ROW, "carrier": "ZZ"}]}, 422, "$.instances[1].carrier"),
        ({"instances": [{**ROW, "carrier": None}]}, 422, "$.instances[0].carrier"),
        ({"instances": [{**ROW, "distance": "far"}]}, 422, "$.instances[0].distance"),
        ({"instances": [{**ROW, "distance": -1}]}, 422, "$.instances[0].distance"),
        ({"instances": [{**ROW, "late": True}]}, 422, "$.instances[0].late"),
        ({"instances": [{"carrier": "AA", "distance": 3}]}, 422, "$.instances[0].dep_delay"),
        (b"x" * 20_001, 413, None),
    ],
)
def test_bad_requests_get_a_place_and_no_traceback(running: Server, body: Any, status: int, path: str | None) -> None:
    found, headers, answer = running.ask("POST", "/predict", body)
    assert found == status, answer
    assert answer["error"].get("path") == path
    assert answer["error"]["request_id"] == headers["x-request-id"]
    assert "Traceback" not in json.dumps(answer)
    assert running.ask("POST", "/predict", {"instances": [ROW]})[0] == 200


def test_a_body_without_a_length_is_bounded_too(running: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    connection.request("POST", "/predict", iter([b"x" * 9000] * 3), encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


@pytest.mark.parametrize("given", ["a b", "x" * 200, "é", ""])
def test_a_request_id_that_cannot_be_kept_is_replaced(running: Server, given: str) -> None:
    headers = {"x-request-id": given.encode("latin-1").decode("latin-1")}
    assert len(running.ask("POST", "/predict", {"instances": [ROW]}, headers)[1]["x-request-id"]) == 32


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/health/live", 200),
        ("GET", "/ping", 200),
        ("GET", "/v2", 200),
        ("GET", "/v2/models/flights", 200),
        ("GET", "/v2/models/flights/versions/v3/ready", 200),
        ("GET", "/v2/models/other", 404),
        ("GET", "/predict", 405),
        ("POST", "/v2", 405),
        ("GET", "/../etc/passwd", 404),
    ],
)
def test_the_other_routes(running: Server, method: str, path: str, status: int) -> None:
    found, headers, _ = running.ask(method, path)
    assert (found, headers["x-mlplan-model-version"]) == (status, "v3")


def test_the_openapi_document_follows_the_contract(running: Server) -> None:
    document = running.ask("GET", "/openapi.json")[2]
    row = document["components"]["schemas"]["Row"]
    assert row["required"] == ["carrier", "dep_delay", "distance"]
    assert row["properties"]["carrier"] == {"type": "string", "enum": ["AA", "UA", "DL"]}
    assert row["properties"]["dep_delay"]["type"] == ["number", "null"]
    assert row["additionalProperties"] is False


def test_metrics_count_by_version(running: Server) -> None:
    running.ask("POST", "/predict", {"instances": [{**ROW, "carrier": "ZZ"}]})
    text = running.ask("GET", "/metrics")[2].decode()
    common = 'endpoint="flights-test",model="flights"'
    assert f'mlplan_rejected_inputs_total{{column="carrier",{common},reason="one_of",version="v3"}}' in text
    assert f'mlplan_requests_total{{code="200",{common},route="predict",version="v3"}}' in text
    assert f'mlplan_ready{{{common},version="v3"}} 1.0' in text
    for name in ("mlplan_request_seconds_bucket", "mlplan_batch_rows_count", "mlplan_log_dropped_total", "process_cpu"):
        assert name in text


def test_the_log_has_contract_columns_and_no_personal_data(running: Server, log_folder: Path) -> None:
    row = {**ROW, "flight": 5, "tail": "SECRET-TAIL"}
    running.ask("POST", "/predict", {"instances": [row]}, {"x-request-id": "logged-1"})
    until, lines = time.monotonic() + 10, []
    while not lines and time.monotonic() < until:
        time.sleep(0.05)
        every = [json.loads(line) for file in log_folder.glob("*.jsonl") for line in file.read_text().splitlines()]
        lines = [line for line in every if line["request_id"] == "logged-1"]
    (line,) = lines
    assert line["version"] == "v3"
    assert line["inputs"] == {**ROW, "flight": 5, "at": None}
    assert set(line["outputs"]) == {"prediction", "score"}
    assert abs(line["at"] - time.time()) < 60


def test_many_at_once_are_all_answered(running: Server) -> None:
    def one(number: int) -> tuple[int, str]:
        status, headers, _ = running.ask("POST", "/predict", {"instances": [ROW]}, {"x-request-id": f"n{number}"})
        return status, headers["x-request-id"]

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(one, range(200)))
    assert answers == [(200, f"n{number}") for number in range(200)]


def altered(sealed: Any, folder: Path) -> Path:
    target = folder / sealed.path.name
    shutil.copytree(sealed.path, target)
    target.chmod(0o755)
    model = target / "model.skops"
    model.chmod(0o644)
    data = bytearray(model.read_bytes())
    data[-100] ^= 1
    model.write_bytes(data)
    return target


def test_an_altered_artifact_is_never_ready_and_says_why_last(sealed: Any, tmp_path: Path) -> None:
    with server(altered(sealed, tmp_path)) as refused:
        log = refused.process.communicate(timeout=60)[1]
        assert refused.process.returncode == 1
        assert "refused to serve" in log.splitlines()[-1]
        assert "model.skops was altered" in log.splitlines()[-1]
        assert "ready:" not in log


def test_a_port_that_is_taken_is_said(sealed: Any) -> None:
    from mlplan.serve.server import run
    from mlplan.serve.settings import Settings

    with listener() as taken:
        settings = Settings(sealed.path, "flights", "v3", "e", port=taken.getsockname()[1])
        assert run(settings) == 1


def test_what_is_queued_when_the_signal_comes_is_answered(sealed: Any, tmp_path: Path) -> None:
    with server(sealed.path, "--max-wait-ms", "700", "--log-dir", str(tmp_path)) as ending:
        ending.wait_ready()
        with ThreadPoolExecutor(8) as pool:
            waiting = [pool.submit(ending.ask, "POST", "/predict", {"instances": [ROW]}) for _ in range(8)]
            time.sleep(0.3)
            ending.process.terminate()
            time.sleep(0.1)
            status, headers, answer = ending.ask("GET", "/v2/health/ready")
            assert (status, answer["phase"], headers["connection"]) == (503, "draining", "close")
            answers = [future.result() for future in waiting]
        assert [status for status, _, _ in answers] == [200] * 8
        assert {headers["connection"] for _, headers, _ in answers} == {"close"}
        code, log = ending.end()
    assert code == 0
    assert "every request was answered" in log.splitlines()[-1]
    files = list(tmp_path.iterdir())
    assert [file.name.startswith("v3-") for file in files] == [True], "the log is flushed and rotated"
    assert len(files[0].read_text().splitlines()) == 8


@pytest.fixture(scope="module")
def fussy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an artifact of a model that raises at distance 666 and takes a second at 777."""
    from sklearn.pipeline import make_pipeline

    from tests.unit.artifact.custom import Fussy

    folder = tmp_path_factory.mktemp("fussy")
    output = train(folder / "job", make_pipeline(Fussy(), boosting()))
    schema = RequestSchema.from_json({"columns": COLUMNS})
    request = SealRequest(
        output, folder / "store", "model.flights", "binary_classification", schema, PROBE, trust=FUSSY
    )
    return seal(request).path


FUSSY = ["tests.unit.artifact.custom.Fussy"]


def test_a_model_that_raises_or_hangs_harms_only_its_own_request(fussy: Path) -> None:
    limits = ["--deadline", "0.6", "--max-queue", "2", "--trust", FUSSY[0]]
    with server(fussy, *limits) as running:
        running.wait_ready()
        status, headers, answer = running.ask("POST", "/predict", {"instances": [{**ROW, "distance": 666}]})
        assert (status, answer["error"]["code"]) == (500, "model-failed")
        assert answer["error"]["request_id"] == headers["x-request-id"]
        assert "666" not in json.dumps(answer["error"]["message"])
        with ThreadPoolExecutor(8) as pool:
            slow = pool.submit(running.ask, "POST", "/predict", {"instances": [{**ROW, "distance": 777}]})
            time.sleep(0.2)
            others = [pool.submit(running.ask, "POST", "/predict", {"instances": [ROW]}) for _ in range(6)]
            assert running.ask("GET", "/v2/health/ready")[0] == 200, "health does not wait for the model"
            answers = [future.result() for future in others]
            assert slow.result()[0] == 504
        refused = [
            (headers["retry-after"], answer["error"]["code"]) for status, headers, answer in answers if status == 503
        ]
        assert refused == [("1", "overloaded")] * 5
        time.sleep(0.8)
        assert running.ask("POST", "/predict", {"instances": [ROW]})[0] == 200
        code, log = running.end()
    assert code == 0
    assert f"the model failed on request {headers['x-request-id']}" in log
    assert "ValueError: too far" in log


def test_without_the_trust_it_needs_the_server_refuses(fussy: Path) -> None:
    with server(fussy) as refused:
        log = refused.process.communicate(timeout=60)[1]
    assert refused.process.returncode == 1
    assert FUSSY[0] in log.splitlines()[-1]


class Client(threading.Thread):
    """Sends one request after the other on a kept connection, and counts."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port
        self.stopping = threading.Event()
        self.answered = 0
        self.lost: list[str] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        while not self.stopping.is_set():
            try:
                connection.request("POST", "/predict", BODY)
                response = connection.getresponse()
                response.read()
                if response.status != 200:
                    self.lost.append(f"status {response.status}")
                self.answered += 1
                if response.getheader("connection") == "close":
                    connection.close()
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(repr(error))
                connection.close()
        connection.close()


def test_a_drain_under_load_loses_no_request(sealed: Any) -> None:
    with (
        listener() as shared,
        server(sealed.path, shared=shared) as first,
        server(sealed.path, shared=shared) as second,
    ):
        wait_both_ready(shared)
        clients = [Client(first.port) for _ in range(8)]
        for client in clients:
            client.start()
        time.sleep(1.0)
        code, log = first.end()
        after = [client.answered for client in clients]
        time.sleep(0.7)
        for client in clients:
            client.stopping.set()
        for client in clients:
            client.join()
        assert [client.lost for client in clients] == [[]] * 8
        assert (code, "every request was answered" in log) == (0, True)
        assert all(client.answered > count for client, count in zip(clients, after, strict=True)), (
            "the other one went on"
        )
        assert second.end()[0] == 0


def wait_both_ready(shared: socket.socket) -> None:
    """Return when many connections in a row, which the kernel spreads over both processes, find a ready one."""
    port, ready, until = shared.getsockname()[1], 0, time.monotonic() + 60
    while ready < 40 and time.monotonic() < until:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: Server(None, port).ask("GET", "/v2/health/ready")[0], range(8)))  # type: ignore[arg-type]
        ready = ready + 8 if set(found) == {200} else 0
        time.sleep(0.05)
    assert ready >= 40
