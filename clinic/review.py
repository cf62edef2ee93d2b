"""From a radiologist's verdict to the record: it outranks what any model said."""

from collections.abc import Mapping, Sequence

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction

from clinic import audit, tags
from clinic.models import Instance, Overlay, Prediction, Review, Study

BOXES = 50
LARGEST_SIDE = 65535  # of a DICOM frame: Rows and Columns are unsigned 16-bit
FIELDS = ("x", "y", "width", "height")


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
) -> Review:
    """Keep a verdict on the study of `prediction`; a later one supersedes it.

    boxes: {"instance": pk, "x", "y", "width", "height"} in frame pixels.
    seen_revision: of the study as it was shown; the prediction's unless given.
    Refuses a verdict on less than what has arrived: nobody judges blind.
    """
    study = Study.objects.select_for_update().get(pk=prediction.study_id)
    _refuse_the_blind(study, seen_revision or prediction.revision)
    if verdict not in Review.Verdict.values:
        raise ValidationError({"verdict": "Choose fracture, no fracture or unsure."})
    kept = [_box(study, box) for box in _some(boxes)]
    if kept and verdict == Review.Verdict.NO_FRACTURE:
        raise ValidationError(
            {"boxes": "A box marks a fracture: remove it, or change the verdict."}
        )
    review = Review.objects.create(
        prediction=prediction,
        radiologist=radiologist,
        verdict=verdict,
        boxes=kept,
        comment=_comment(comment),
        overlay_shown=overlay_shown,
    )
    study.verdict = verdict
    study.save(update_fields=["verdict", "changed"])
    audit.record(
        "review.submitted", review, radiologist, verdict=verdict, study=study.pk
    )
    return review


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
