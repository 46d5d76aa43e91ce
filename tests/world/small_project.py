"""A real project that trains in a second: a table, a contract, a model that prints and needs a secret, an output."""

from __future__ import annotations

import csv
import random
from pathlib import Path

FILES = """\
mlplan {{
{settings}
}}

variable "note" {{
  type      = string
  default   = "none"
  sensitive = true
}}

data_contract "rows" {{
  source  = "rows.csv"
  key     = ["id"]
  columns = {{
    id  = {{ type = "int" }}
    x   = {{ type = "float" }}
    z   = {{ type = "float" }}
    hot = {{ type = "bool", label = true }}
  }}
}}

model "toy" {{
  task = "binary_classification"
  train {{
    run  = "python train.py"
    code = ["train.py"]
    data = {{ train = data_contract.rows }}
{train}
  }}
  evaluate {{
    data = data_contract.rows
  }}
  gate "good" {{
    metric   = "roc_auc"
    at_least = 0.6
  }}
}}

output "toy" {{
  value = model.toy.version
}}
"""

TRAIN = """\
import mlplan.job
from sklearn.linear_model import LogisticRegression

job = mlplan.job.load()
rows = job.frame("train")
print(len(rows), "rows", flush=True)
{more}
model = LogisticRegression().fit(rows[["x", "z"]], rows["hot"].astype(bool))
job.save(model, features=["x", "z"])
"""


def write_project(folder: Path, settings: str = "", train: str = "", more: str = "") -> Path:
    """Write the project into `folder`. settings: of the block mlplan; train: of the block train; more: of the script."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "main.mlplan.hcl").write_text(FILES.format(settings=settings, train=train))
    (folder / "train.py").write_text(TRAIN.format(more=more))
    chance = random.Random(7)
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "x", "z", "hot"])
        for number in range(400):
            x, z = chance.gauss(0, 1), chance.gauss(0, 1)
            writer.writerow([number, f"{x:.4f}", f"{z:.4f}", "true" if x + chance.gauss(0, 0.5) > 0 else "false"])
    return folder
