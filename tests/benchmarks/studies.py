"""How often are neighbouring images of FracAtlas rightly taken for one study?

    python tests/benchmarks/studies.py

Truth is tests/search/fracatlas_studies.csv: pairs of consecutive images drawn by
chance and judged by eye as the same person at the same examination, or not, or
unclear; images of different parts of the body count as different persons unless
something shows otherwise. The rule was made on the sample "tuning".
"""

import csv
import os
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from search.data import examples  # noqa: E402

TRUTH = ROOT / "tests" / "search" / "fracatlas_studies.csv"
SAMPLE_DATA = Path(os.environ.get("SAMPLE_DATA", ROOT.parent / "shared" / "data"))


def main() -> None:
    folder = SAMPLE_DATA / "fracatlas"
    if not folder.exists():
        sys.exit("FracAtlas is not here: set SAMPLE_DATA to the development data.")
    found = examples(folder)
    study = {example.image.name: example.study for example in found}
    with TRUTH.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for sample in ("tuning", "check"):
        print(_measured(sample, [r for r in rows if r["sample"] == sample], study))
    sizes = Counter(Counter(e.study for e in found if e.part == "hand").values())
    print(
        f"upper limb: {sum(sizes.values())} studies,",
        ", ".join(f"{n} of {size}" for size, n in sorted(sizes.items())),
        "images",
    )


def _measured(sample: str, rows: list[dict[str, str]], study: dict[str, str]) -> str:
    cases = Counter(
        (study[row["first"]] == study[row["second"]], row["same_person"])
        for row in rows
    )
    right, wrong, missed = cases[True, "yes"], cases[True, "no"], cases[False, "yes"]
    unclear = cases[True, "unclear"] + cases[False, "unclear"]
    return (
        f"{sample}: {len(rows)} pairs, {unclear} unclear; "
        f"precision {right / (right + wrong):.3f} ({right} of {right + wrong}), "
        f"recall {right / (right + missed):.3f} ({right} of {right + missed})"
    )


if __name__ == "__main__":
    main()
