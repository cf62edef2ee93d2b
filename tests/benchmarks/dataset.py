"""What does `dataset build` cost an image, and does it scale with cores?

    python tests/benchmarks/dataset.py [--studies N]

Three archives: phantoms as small as they are by default, phantoms as large as a wrist
from a modern detector, and real files of every kind. Each is built on one core and on
two, with as many worker processes, in turn, twice; the better wall time and the lower
CPU time of each count, for other work on the machine only ever adds. Processes are kept
to their cores, so that on one core the parent has no second one to itself. CPU seconds
are of all processes together, start and scan included; what the parent process spends
(scan, tables, digest) no second core can share, so it bounds the gain. On a busy
machine the wall times tell what share of it was to be had, and the bound tells more.
"""

import argparse
import copy
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from inference.phantom import study  # noqa: E402
from search.build import build  # noqa: E402

SAMPLE_DATA = Path(os.environ.get("SAMPLE_DATA", ROOT.parent / "shared" / "data"))
# Rows, columns, and how many times --studies: of small ones so many that starting
# the processes does not hide what they do.
SIZES = {
    "phantoms 1024 x 800": (1024, 800, 4),
    "phantoms 3000 x 2500": (3000, 2500, 1),
}
CORES = sorted(os.sched_getaffinity(0))
DISTINCT = 4  # drawing a phantom costs more than reading it; names are what differs


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=60)
    count = parser.parse_args().studies
    print(f"{len(CORES)} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        for name, archive in _archives(Path(folder), count):
            _measure(name, archive, Path(folder))


def _archives(folder: Path, count: int) -> Iterator[tuple[str, Path]]:
    for name, (rows, columns, times) in SIZES.items():
        archive = folder / name
        _draw(archive, times * count, rows, columns)
        yield name, archive
    if (SAMPLE_DATA / "dicom").exists():
        yield "real files of every kind", SAMPLE_DATA / "dicom"
    else:
        print("Real files are not here: set SAMPLE_DATA to the development data.")


def _draw(archive: Path, count: int, rows: int, columns: int) -> None:
    archive.mkdir()
    drawn = [study(seed, rows=rows, columns=columns) for seed in range(DISTINCT)]
    for i in range(count):
        for view in drawn[i % DISTINCT]:
            ds = copy.copy(view)
            ds.PatientID = f"P{i}"
            ds.StudyInstanceUID = f"{view.StudyInstanceUID[:40]}.{i}"
            ds.SOPInstanceUID = f"{view.SOPInstanceUID[:40]}.{i}"
            ds.file_meta = copy.copy(view.file_meta)
            ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
            path = archive / f"{i}-{ds.InstanceNumber}.dcm"
            ds.save_as(path, enforce_file_format=True)


def _measure(name: str, archive: Path, folder: Path) -> None:
    seconds: dict[int, list[tuple[float, float, float]]] = {1: [], 2: []}
    for turn in range(2):
        for jobs, measured in seconds.items():
            out = folder / f"out {name} {turn} {jobs}"
            began, used = time.monotonic(), _cpu()
            os.sched_setaffinity(0, CORES[:jobs])
            told = build(archive, out, salt=b"x", scope="all", jobs=jobs).report
            os.sched_setaffinity(0, CORES)
            spent = [after - before for after, before in zip(_cpu(), used, strict=True)]
            measured.append((time.monotonic() - began, *spent))
    walls = {jobs: min(wall for wall, *_ in m) for jobs, m in seconds.items()}
    cpu, parent = min((parent + rest, parent) for _, parent, rest in seconds[1])
    bound = cpu / min(parent + rest / 2 for _, parent, rest in seconds[2])
    print(
        f"{name}, load {os.getloadavg()[0]:.1f}: "
        f"{told['files']} files, {told['images']} images; "
        f"{cpu / told['files']:.3f} CPU-seconds a file, "
        f"{cpu / told['images']:.3f} an image kept; "
        f"{walls[1]:.1f} s on one core, {walls[2]:.1f} s on two: "
        f"{walls[1] / walls[2]:.2f} times as fast, at most {bound:.2f} "
        f"({parent:.1f} of {cpu:.1f} CPU-seconds are the parent's)"
    )


def _cpu() -> list[float]:
    """CPU-seconds so far of this process, and of those it has waited for."""
    kinds = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    used = [resource.getrusage(kind) for kind in kinds]
    return [usage.ru_utime + usage.ru_stime for usage in used]


if __name__ == "__main__":
    main()
