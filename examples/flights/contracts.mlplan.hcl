# What the data must look like. `prepare.py` makes it; see there how a flight becomes a row.

locals {
  airports = ["EWR", "JFK", "LGA"]
  weekdays = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
  carriers = ["9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV"]

  # Tables hold complete rows; requests may lack a reading, so the weather is nullable.
  # Miles, degrees Fahrenheit, percent, miles an hour, inches, millibars.
  flight_columns = {
    flight_id    = { type = "string" }
    scheduled_at = { type = "timestamp" }
    reading      = { type = "string" }
    carrier      = { type = "string", one_of = local.carriers }
    origin       = { type = "string", one_of = local.airports }
    dest         = { type = "string", matches = "^[A-Z]{3}$" }
    weekday      = { type = "string", one_of = local.weekdays }
    hour         = { type = "int", between = [0, 23] }
    minute       = { type = "int", between = [0, 59] }
    distance     = { type = "int", between = [50, 6000] }
    temp         = { type = "float", between = [-20, 120], nullable = true }
    dewp         = { type = "float", between = [-40, 100], nullable = true }
    humid        = { type = "float", between = [0, 100], nullable = true }
    wind_speed   = { type = "float", between = [0, 100], nullable = true }
    precip       = { type = "float", between = [0, 5], nullable = true }
    pressure     = { type = "float", between = [930, 1070], nullable = true }
    visib        = { type = "float", between = [0, 10], nullable = true }
    late         = { type = "bool", label = true }
  }
}

data_contract "flights" {
  description = "Flights that left New York City and arrived somewhere, with what was known before they left"
  owner       = "flight-data"
  source      = "data/flights/*.parquet" # one file a month
  key         = ["flight_id"]
  time        = "scheduled_at"
  min_rows    = 50000
  columns     = local.flight_columns
  strict      = true

  quality "some_are_late" {
    metric   = "true_fraction(late)"
    at_least = 0.1
    at_most  = 0.5
  }
  quality "readings_exist" {
    references = data_contract.weather.column.reading
    column     = "reading"
  }

  # Temperature and dew point follow the calendar: even May is far from January to May (PSI 4), so a rule on them would be
  # broken every month and teach nobody anything. Wind and sight move less: 0.1 in May, 0.3 and more in August.
  drift "since_training" {
    compare_to = "training"
    columns    = ["carrier", "origin", "wind_speed", "visib"]
    distance   = "psi"
    at_most    = 0.25
    min_rows   = 1500
  }
}

data_contract "holdout" {
  description = "Every fifth day of each month, never trained on; complete weather only"
  owner       = "flight-data"
  source      = "data/holdout/*.parquet"
  key         = ["flight_id"]
  time        = "scheduled_at"
  min_rows    = 10000
  columns     = local.flight_columns
  strict      = true

  quality "readings_exist" {
    references = data_contract.weather.column.reading
    column     = "reading"
  }
}

data_contract "weather" {
  description = "Hourly readings at the three airports"
  owner       = "weather-data"
  source      = "data/weather.parquet"
  key         = ["reading"]
  time        = "time_hour"
  columns = {
    reading    = { type = "string" } # airport and hour
    origin     = { type = "string", one_of = local.airports }
    time_hour  = { type = "timestamp" }
    temp       = { type = "float", between = [-20, 120], nullable = true }
    dewp       = { type = "float", between = [-40, 100], nullable = true }
    humid      = { type = "float", between = [0, 100], nullable = true }
    wind_speed = { type = "float", between = [0, 100], nullable = true }
    precip     = { type = "float", between = [0, 5], nullable = true }
    pressure   = { type = "float", between = [930, 1070], nullable = true }
    visib      = { type = "float", between = [0, 10], nullable = true }
  }
  strict = true

  quality "barometer_works" {
    metric   = "null_fraction(pressure)"
    at_most  = 0.15
    severity = "warn"
  }
}
