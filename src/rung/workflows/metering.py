"""Where the paid answers of a rung are kept during a build, and its charges counted."""

from __future__ import annotations

from rung.core.model import Rung
from rung.runtime.service.metered import Metering
from rung.workflows.build_setup import BuildSetup

# Below the run folder: what services have charged.
SPENT = "spent.json"


def metering_of(setup: BuildSetup, rung: Rung, rows: str = "training") -> Metering:
    """Return where the answers of a rung are kept if they cost something, and its charges counted.

    rows: which; the answers to certification rows lie apart, and go when their look is settled. "fit": what the fits
    themselves ask.
    """
    home = setup.run.folder.resolve()
    planned = rung.planned.service_usd_per_1k
    return Metering(
        home / "services" / f"{rung.name}-{rows}.jsonl",
        home / SPENT,
        setup.product.budget.usd,
        rung.name,
        planned / 1000,
        planned > 0,
    )
