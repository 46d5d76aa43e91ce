"""Smoke test of a served version: asks it for one flight and looks at the answer. MLPLAN_URL says where it is."""

from __future__ import annotations

import json
import os
import sys
import urllib.request

FLIGHT = {
    "flight_id": "smoke test",
    "carrier": "UA",
    "origin": "EWR",
    "dest": "ORD",
    "weekday": "Fri",
    "hour": 17,
    "minute": 30,
    "distance": 719,
    "temp": 63.0,
    "dewp": 55.0,
    "humid": 75.0,
    "wind_speed": 12.7,
    "precip": 0.0,
    "pressure": 1009.5,
    "visib": 10.0,
}


def ask(url: str, row: dict[str, object]) -> tuple[dict[str, object], str]:
    """Return the answer to one row, and the version that gave it."""
    body = json.dumps({"instances": [row]}).encode()
    request = urllib.request.Request(f"{url.rstrip('/')}/predict", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as response:
        return json.load(response), response.headers.get("x-mlplan-model-version", "")


def main() -> None:
    answer, version = ask(os.environ["MLPLAN_URL"], FLIGHT)
    predictions = answer.get("predictions")
    if not isinstance(predictions, list) or len(predictions) != 1 or not version:
        sys.exit(f"expected one prediction and a version, got {answer} from version {version!r}")
    print(f"{version} answers: {predictions[0]}")


if __name__ == "__main__":
    main()
