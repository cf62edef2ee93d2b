"""Times the ONNX files of a folder on this machine. Nothing else of Osteon is needed.

    pip install onnxruntime numpy        # or, where it is there: openvino numpy
    python agent.py [FOLDER] [--engine onnxruntime|openvino] [--threads 1]

Writes FOLDER/measured.json, to be taken back to `manage.py latency fit`. Of every file
the least time counts: what else the machine does can only add. How far the median
lies above it, and the load, are written down too. On a machine that cannot be idle,
where long runs are interrupted and short ones are not, `--clock processor` counts the
time of this process alone; it means a latency with one thread only.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

WARM_UPS, RUNS = 3, 15
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).resolve().parent
    parser.add_argument("folder", nargs="?", type=Path, default=here)
    parser.add_argument("--engine", choices=sorted(ENGINES), default="onnxruntime")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--clock", choices=sorted(CLOCKS), default="wall")
    print(measure(**vars(parser.parse_args())))  # noqa: T201 - a command of its own


def measure(
    folder: Path, engine: str, threads: int = 1, runs: int = RUNS, clock: str = "wall"
) -> Path:
    """-> measured.json, with everything that plan.json asks for."""
    if clock == "processor" and threads != 1:
        raise ValueError("Processor time is a latency with one thread only.")
    plan = json.loads((folder / "plan.json").read_text())
    size, begun = plan["size"], os.getloadavg()[0]

    def of(path: Path) -> tuple[float, float]:
        return timed(ENGINES[engine](path, threads), runs, CLOCKS[clock])

    pieces = {key: of(folder / "pieces" / f"{key}.onnx") for key in plan["pieces"]}
    wholes = [
        (said, *of(folder / "networks" / f"{number}.onnx"))
        for number, said in enumerate(plan["networks"])
    ]
    noise = [m / least - 1 for least, m in [*pieces.values(), *(w[1:] for w in wholes)]]
    machine = {
        "name": platform.node(),
        "processor": f"{platform.machine()}, {os.cpu_count()} cores",
        "engine": engine,
        "threads": threads,
        "runs": runs,
        "clock": clock,
        "load": [begun, os.getloadavg()[0]],
        "noise": statistics.median(noise),
        "measured": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    found = {"space": plan["space"], "size": size, "machine": machine}
    found["pieces"] = {key: least for key, (least, _) in pieces.items()}
    found["networks"] = [{"architecture": said, "ms": ms} for said, ms, _ in wholes]
    path = folder / "measured.json"
    path.write_text(json.dumps(found))
    return path


def timed(
    run: Callable[[], object], runs: int, clock: Callable[[], float]
) -> tuple[float, float]:
    """-> (least, median) milliseconds."""
    for _ in range(WARM_UPS):
        run()
    times = []
    for _ in range(runs):
        began = clock()
        run()
        times.append((clock() - began) * 1000)
    return min(times), statistics.median(times)


def with_onnxruntime(path: Path, threads: int) -> Callable[[], object]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )
    entry = session.get_inputs()[0]
    image = np.full(entry.shape, 0.5, np.float32)
    return lambda: session.run(None, {entry.name: image})


def with_openvino(path: Path, threads: int) -> Callable[[], object]:
    import openvino

    hints = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.Core().compile_model(str(path), "CPU", hints)
    image = np.full(tuple(compiled.input(0).shape), 0.5, np.float32)
    request = compiled.create_infer_request()
    return lambda: request.infer([image])


ENGINES = {"onnxruntime": with_onnxruntime, "openvino": with_openvino}

if __name__ == "__main__":
    main()
