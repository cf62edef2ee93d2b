"""What a job tells while it runs, and by which it learns that it was taken away."""

import time
from collections.abc import Mapping, Sequence

from clinic import jobs
from clinic.models import Job

OFTEN = 1.0  # seconds between two beats


class Diary:
    """What a job's row is told while it runs; its beats end a job that was taken."""

    def __init__(self, job: Job) -> None:
        self.job, self.told, self.known = job, time.monotonic(), len(job.history)

    def say(self, line: str, **progress: object) -> None:
        now = time.monotonic()
        worked, self.told = now - self.told, now
        jobs.beat(job=self.job, line=line, worked=worked, **progress)

    def tell(self, history: Sequence[Mapping[str, float]], done: float) -> None:
        """See search.train.Tell."""
        if len(history) > self.known:
            self.known = len(history)
            epoch, of = history[-1], self.job.epochs
            line = f"epoch {epoch['epoch']} of {of}: loss {epoch['loss']:.4f}, "
            line += f"AUROC on validation {epoch['auroc']:.4f}, "
            line += f"by study {epoch['study_auroc']:.4f}"
            self.say(line, history=history, done=done)
        elif time.monotonic() - self.told > OFTEN:
            self.say("", done=done)

    def breathe(self) -> None:
        """Between two pieces of work that have no more to tell."""
        if time.monotonic() - self.told > OFTEN:
            self.say("")

    def count(self, done: int) -> None:
        """Studies fetched from the PACS."""
        if time.monotonic() - self.told > OFTEN:
            total = len(self.job.verdicts["chosen"])
            self.say("", step=f"fetching images: {done} of {total} studies")
