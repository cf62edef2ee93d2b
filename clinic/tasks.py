"""What runs in the background. A task fetches a row and calls one function.

The bridges are imported inside their tasks, on purpose: torch sits behind them, and
the web process enqueues tasks without ever paying for it. Nothing is retried here: the
row says what is still to be done, and `manage.py watch` rings again.
"""

import faulthandler
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from celery import shared_task
from django.conf import settings

from clinic import trials
from clinic.models import Job, Prediction, Study
from clinic.pacs import PacsUnavailable, open_pacs
from clinic.store import StoreUnavailable

log = logging.getLogger(__name__)


@shared_task
def read_study(study_id: int) -> None:
    """Have the active model read one study, and its reading explained."""
    from clinic import reading

    study = Study.objects.filter(pk=study_id).first()
    if study is None:
        return
    with _within_the_lease(), _others_may_be_away(f"study {study_id}"):
        prediction = reading.read(study=study, pacs=open_pacs())
        if prediction and prediction.explanation == Prediction.Explanation.WAITING:
            explain_prediction.delay_on_commit(prediction.pk)


@shared_task
def explain_prediction(prediction_id: int) -> None:
    """Compute the overlays of one prediction."""
    from clinic import reading

    prediction = Prediction.objects.filter(pk=prediction_id).first()
    if prediction is None:
        return
    with _within_the_lease(), _others_may_be_away(f"prediction {prediction_id}"):
        reading.explain(prediction=prediction, pacs=open_pacs())


@shared_task
def shadow_prediction(prediction_id: int) -> None:
    """Have the shadow read beside one prediction."""
    from clinic import reading

    prediction = Prediction.objects.filter(pk=prediction_id).first()
    if prediction is None:
        return
    with _within_the_lease(), _others_may_be_away(f"shadow of {prediction_id}"):
        reading.shadow(prediction=prediction, pacs=open_pacs())


@shared_task
def run_job(job_id: int) -> None:
    """Work on one job, for as long as it takes: it keeps its own lease."""
    from clinic import training

    with _others_may_be_away(f"job {job_id}"):
        training.work(job_id=job_id, pacs=open_pacs())


@shared_task
def run_trial(trial_id: int) -> None:
    """Train one candidate of a search; it keeps its own lease. What its end has the
    strategy ask for is rung for at once; a bell that came late rings for nothing, or
    bells would grow more and more."""
    from clinic import candidates

    if not trials.work(trial_id=trial_id, evaluate=candidates.evaluate):
        return
    for due in trials.sweep()[:1]:
        run_trial.delay_on_commit(due)
    for over in Job.objects.over().values_list("pk", flat=True)[:1]:
        conclude_search.delay_on_commit(over)


@shared_task
def provide_search(job_id: int) -> None:
    """Freeze the verdicts of a search and put them where its workers find them."""
    from clinic import candidates

    with _others_may_be_away(f"job {job_id}"):
        candidates.provide(job_id=job_id, pacs=open_pacs())


@shared_task
def conclude_search(job_id: int) -> None:
    """Make a model of the best candidate; the job keeps its own lease."""
    from clinic import candidates

    with _others_may_be_away(f"job {job_id}"):
        candidates.conclude(job_id=job_id)


@contextmanager
def _within_the_lease() -> Iterator[None]:
    """End the whole process when the work outlasts its lease.

    Celery's time limits do nothing in a solo worker, and no exception gets through
    a decoder that hangs. The stack starts the worker again, the sweeper rings
    again, and the attempts on the row keep a poisonous study from going round.
    """
    faulthandler.dump_traceback_later(
        settings.LEASE_SECONDS, exit=True, file=sys.__stderr__
    )
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


@contextmanager
def _others_may_be_away(what: str) -> Iterator[None]:
    try:
        yield
    except (PacsUnavailable, StoreUnavailable) as error:
        log.warning("PACS or artifact store is away, %s waits: %s", what, error)
