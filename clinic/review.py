"""From a radiologist's verdict to the record: it outranks what any model said."""

from collections.abc import Iterable, Mapping, Sequence

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction

from clinic import audit, tags
from clinic.models import AuditEvent, Instance, Overlay, Prediction, Review, Study
from clinic.permissions import ADMINISTRATOR

BOXES = 50
LARGEST_SIDE = 65535  # of a DICOM frame: Rows and Columns are unsigned 16-bit
FIELDS = ("x", "y", "width", "height")
SHOWN = "overlay.shown"


@transaction.atomic
def submit(
    *,
    prediction: Prediction,
    radiologist: AbstractBaseUser,
    verdict: str,
    boxes: Sequence[Mapping[str, object]] = (),
    comment: str = "",
    overlay_shown: bool = False,
    seen_revision: int | None = None,
    adjudicates: bool = False,
) -> Review:
    """Keep a verdict on the study of `prediction`; a later one supersedes it.

    boxes: {"instance": pk, "x", "y", "width", "height"} in frame pixels.
    seen_revision: of the study as it was shown; the prediction's unless given.
    overlay_shown: once seen (`reveal`) it stays seen, whatever a later page says.
    adjudicates: this verdict settles what others disagree on.
    Refuses a verdict on less than what has arrived: nobody judges blind.
    """
    study = Study.objects.select_for_update().get(pk=prediction.study_id)
    _refuse_the_blind(study, seen_revision or prediction.revision)
    if verdict not in Review.Verdict.values:
        raise ValidationError({"verdict": "Choose fracture, no fracture or unsure."})
    before = list(Review.objects.filter(prediction__study=study).order_by("pk"))
    if adjudicates:
        _refuse_a_party(before, radiologist, verdict)
    kept = [_box(study, box) for box in _some(boxes)]
    if kept and verdict == Review.Verdict.NO_FRACTURE:
        raise ValidationError(
            {"boxes": "A box marks a fracture: remove it, or change the verdict."}
        )
    review = Review.objects.create(
        prediction=prediction,
        revision=study.revision,
        radiologist=radiologist,
        verdict=verdict,
        boxes=kept,
        comment=_comment(comment),
        overlay_shown=overlay_shown or _has_seen(study, before, radiologist),
        adjudicates=adjudicates,
    )
    study.verdict = verdict
    study.disputed = disagree([*before, review])
    study.save(update_fields=["verdict", "disputed", "changed"])
    said = {"verdict": verdict, "study": study.pk, "adjudicates": adjudicates}
    audit.record("review.submitted", review, radiologist, **said)
    return review


@transaction.atomic
def reveal(*, study: Study, to: AbstractBaseUser) -> None:
    """Put on record, once, that `to` was shown an overlay of `study`.

    On record and not in a session: who signs in anew has seen it nevertheless.
    """
    if _was_shown(study, to):
        return
    # A page fetches several overlays at once: one of them leaves the event.
    locked = Study.objects.select_for_update().get(pk=study.pk)
    if not _was_shown(locked, to):
        audit.record(SHOWN, locked, to, revision=locked.revision)


def standing(reviews: Iterable[Review]) -> list[Review]:
    """Each person's latest verdict on one study, oldest first.

    reviews: in the order they were given. An adjudication ends what came before, and
    so does the first verdict that knows of a later image.
    """
    latest: dict[int, Review] = {}
    revision = 0
    for review in reviews:
        if review.adjudicates or review.revision > revision:
            latest.clear()
        revision = review.revision
        latest.pop(review.radiologist_id, None)
        latest[review.radiologist_id] = review
    return list(latest.values())


def disagree(reviews: Iterable[Review]) -> bool:
    """Does one who stands by "fracture" face one who stands by "no fracture"?"""
    said = {review.verdict for review in standing(reviews)}
    return {Review.Verdict.FRACTURE, Review.Verdict.NO_FRACTURE} <= said


def may_settle(study: Study, who: AbstractBaseUser) -> bool:
    """Whether `study` is disputed, and a verdict of `who` may decide."""
    if not study.disputed:
        return False
    given = Review.objects.filter(prediction__study=study).order_by("pk")
    return _may_decide(given, who)


def _may_decide(before: Iterable[Review], who: AbstractBaseUser) -> bool:
    definite = [r for r in standing(before) if r.verdict != Review.Verdict.UNSURE]
    party = who.pk in {review.radiologist_id for review in definite}
    return not party or who.groups.filter(name=ADMINISTRATOR).exists()


def _has_seen(
    study: Study, before: Sequence[Review], radiologist: AbstractBaseUser
) -> bool:
    mine = [review for review in before if review.radiologist_id == radiologist.pk]
    return any(r.overlay_shown for r in mine) or _was_shown(study, radiologist)


def _was_shown(study: Study, to: AbstractBaseUser) -> bool:
    shown = AuditEvent.objects.filter(target=f"study/{study.pk}", action=SHOWN)
    return shown.filter(actor=to).exists()


def _refuse_a_party(
    before: Sequence[Review], by: AbstractBaseUser, verdict: str
) -> None:
    """A third person settles, or an administrator who is a radiologist too."""
    if not disagree(before):
        words = "Nobody disagrees on this study: there is nothing to settle."
        raise ValidationError({"adjudicates": words})
    if verdict == Review.Verdict.UNSURE:
        words = "An adjudication decides: choose fracture or no fracture."
        raise ValidationError({"adjudicates": words})
    if not _may_decide(before, by):
        words = "You are one of those who disagree: a third person has to settle it."
        raise ValidationError({"adjudicates": words})


def _refuse_the_blind(study: Study, seen: int) -> None:
    if seen >= study.revision:
        return
    unseen = Instance.objects.images().filter(series__study=study, revision__gt=seen)
    count = unseen.count()
    images = "1 image" if count == 1 else f"{count} images"
    raise ValidationError(
        f"{images} arrived or changed after you opened this study: "
        "look at the study again, then judge."
    )


def _some(boxes: object) -> list[object]:
    if not isinstance(boxes, list | tuple):
        raise ValidationError({"boxes": "The boxes must be a list."})
    if len(boxes) > BOXES:
        raise ValidationError({"boxes": f"At most {BOXES} boxes can be kept."})
    return list(boxes)


def _box(study: Study, box: object) -> dict[str, float]:
    if not isinstance(box, Mapping) or set(box) != {"instance", *FIELDS}:
        raise ValidationError({"boxes": "A box has an image, x, y, width and height."})
    columns, rows = _frame(study, box["instance"])
    x, y, width, height = (_number(box[field]) for field in FIELDS)
    inside = min(x, y) >= 0 and x + width <= columns and y + height <= rows
    if not inside or width <= 0 or height <= 0:
        raise ValidationError({"boxes": "A box must lie within its image."})
    return {**dict(zip(FIELDS, (x, y, width, height))), "instance": box["instance"]}


def _frame(study: Study, instance: object) -> tuple[int, int]:
    """(columns, rows) of an image of the study, as far as they are known."""
    images = Instance.objects.images().filter(series__study=study)
    row = images.filter(pk=instance).first() if type(instance) is int else None
    if row is None:
        raise ValidationError({"boxes": "A box lies on an image of another study."})
    if row.columns and row.rows:
        return row.columns, row.rows
    overlay = Overlay.objects.filter(image__instance=row).last()
    if overlay:
        return overlay.columns, overlay.rows
    return LARGEST_SIDE, LARGEST_SIDE


def _number(value: object) -> float:
    if type(value) not in (int, float) or not abs(value) <= LARGEST_SIDE:
        raise ValidationError({"boxes": "The sides of a box must be numbers."})
    return round(float(value), 2)


def _comment(text: str) -> str:
    longest = Review._meta.get_field("comment").max_length
    cleaned = "\n".join(tags.text(line, longest + 1) for line in text.splitlines())
    if len(cleaned) > longest:
        raise ValidationError({"comment": f"At most {longest} characters can be kept."})
    return cleaned.strip()
