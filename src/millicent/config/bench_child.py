"""One benchmark in a process and a home of its own: no operator's store is touched, no other stage's memory is counted.

Called as `python -m millicent.config.bench_child STAGE OPTIONS` with options and result as JSON.
"""

import json
import sys
from importlib import import_module

from millicent.config.logs import configure_logs
from millicent.config.setup import open_stores

STORED = ("mediation", "billing", "charging")
# where a stage is measured with all that stands above it
PLACES = {"charging": "millicent.config.charging_bench.run"}


def measure(stage: str, options: dict[str, int]) -> dict[str, object]:
    """Run one stage's benchmark; bills are also set as documents."""
    configure_logs(log_format="console", log_level="warning")  # to standard error: the result is all that is printed
    if stage in STORED:
        open_stores(migrate=True)
    result: dict[str, object] = import_module(PLACES.get(stage, f"millicent.{stage}.bench")).run(**options)
    if stage == "billing":
        documents: dict[str, object] = import_module("millicent.billing.documents.bench").run()
        result["documents_per_second_per_core"] = documents["documents_per_second_per_core"]
        result["documents"] = documents
    return {"benchmark": stage, **result}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], json.loads(sys.argv[2]))))
