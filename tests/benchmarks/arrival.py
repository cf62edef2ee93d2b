"""From the last C-STORE response to the reading in the worklist, and in bulk.

    python tests/benchmarks/arrival.py [--latency 50] [--bulk 200]

Starts a whole Osteon of its own (PACS, broker, workers, web) in a temporary
folder, pushes two-image phantom studies over DICOM and watches the worklist the
way a browser does, signed in over HTTP. Prints percentiles, wanted is 3 s at most for
nineteen in twenty, and studies a minute with what limits them: the share of the time
in which the one worker was reading, and milliseconds a study by what it was at.
"""

import argparse
import json
import re
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docker")]

from pynetdicom import AE  # noqa: E402
from stack import Stack  # noqa: E402

from inference import phantom  # noqa: E402

OUTCOMES = ("read", "abstained")  # some phantoms are too unlike radiographs
DX = "1.2.840.10008.5.1.4.1.1.1.1"


class Browser:
    """A signed-in radiologist who looks at the worklist."""

    def __init__(self, address: str, password: str) -> None:
        self.address = address
        handler = urllib.request.HTTPCookieProcessor(CookieJar())
        self.opener = urllib.request.build_opener(handler)
        page = self.get("/login/")
        token = re.search(r'csrfmiddlewaretoken" value="([^"]+)', page)[1]
        form = {
            "username": "radiologist",
            "password": password,
            "csrfmiddlewaretoken": token,
        }
        self.opener.open(
            f"{address}/login/", urllib.parse.urlencode(form).encode(), timeout=10
        )

    def get(self, path: str) -> str:
        return self.opener.open(self.address + path, timeout=10).read().decode()

    def sees_read(self, accession: str) -> bool:
        """Does the worklist show the study with its score, or as left to people?"""
        return any(
            f">{accession}<" in re.sub(r"\s+", "", self.get(f"/?{asked}"))
            for asked in (
                urllib.parse.urlencode({"words": accession, "state": state})
                for state in OUTCOMES
            )
        )


def send(studies: list, port: int) -> list[float]:
    """C-STORE each study; when the response to its last image came."""
    ae = AE()
    ae.add_requested_context(DX)
    association = ae.associate("127.0.0.1", port)
    assert association.is_established, "the PACS refused the association"
    done = []
    for datasets in studies:
        for dataset in datasets:
            assert association.send_c_store(dataset).Status == 0
        done.append(time.monotonic())
    association.release()
    return done


def latency(stack: Stack, browser: Browser, count: int) -> list[float]:
    seconds = []
    for seed in range(count):
        datasets = phantom.study(10_000 + seed)
        (sent,) = send([datasets], stack.dicom_port)
        while not browser.sees_read(datasets[0].AccessionNumber):
            time.sleep(0.05)
            assert time.monotonic() - sent < 60, "the study is not read after 60 s"
        seconds.append(time.monotonic() - sent)
    return seconds


def bulk(stack: Stack, count: int) -> dict:
    before, predictions = stack.ledger(), _predictions(stack)
    studies = [phantom.study(20_000 + seed) for seed in range(count)]
    start = time.monotonic()
    sent = send(studies, stack.dicom_port)[-1] - start
    while True:
        ledger = stack.ledger()
        if _ended(ledger) - _ended(before) >= count:
            break
        assert time.monotonic() - start < 1800, ledger
        time.sleep(0.5)
    read = time.monotonic() - start
    stack.settle(1800)
    explained = time.monotonic() - start
    return {
        "studies": count,
        "sent in seconds": round(sent, 1),
        "read in seconds": round(read, 1),
        "explained in seconds": round(explained, 1),
        "read per minute": round(60 * count / read, 1),
        **_occupied(stack, count, read),
        "predictions": _predictions(stack) - predictions,
    }


def _ended(ledger: dict) -> int:
    return sum(ledger["studies"][outcome] for outcome in OUTCOMES)


def _occupied(stack: Stack, count: int, seconds: float) -> dict:
    """Of the last `count` readings, which took `seconds` in all."""
    last = f"Prediction.objects.order_by('-pk')[:{count}]"
    spent = _asked(stack, f"[p.milliseconds for p in {last}]")
    stages = {stage: np.mean([found[stage] for found in spent]) for stage in spent[0]}
    busy = count * stages["total"] / 1e3 / seconds
    told = {stage: round(float(mean), 1) for stage, mean in stages.items()}
    return {"reading, share of the time": round(busy, 2), "ms a study": told}


def _predictions(stack: Stack) -> int:
    """All that were ever made, superseded ones too: more than studies means twice."""
    return _asked(stack, "Prediction.objects.count()")


def _asked(stack: Stack, expression: str) -> object:
    words = "import json; from clinic.models import Prediction; "
    words += f"print(json.dumps({expression}))"
    return json.loads(stack.manage("shell", "--no-imports", "-c", words))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=int, default=50)
    parser.add_argument("--bulk", type=int, default=200)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder), None)
        try:
            stack.open()
            stack.push(None, 2)  # warms the model
            stack.settle(300)
            address = f"http://127.0.0.1:{stack.web_port}"
            browser = Browser(address, stack.logins["radiologist"])
            seconds = latency(stack, browser, chosen.latency)
            quantiles = np.percentile(seconds, [50, 95, 100]).round(2)
            names = ("p50", "p95", "max")
            found = {"arrival to worklist, s": dict(zip(names, quantiles.tolist()))}
            found["bulk"] = bulk(stack, chosen.bulk)
            sys.stdout.write(json.dumps(found, indent=2) + "\n")
        finally:
            stack.close()


if __name__ == "__main__":
    main()
