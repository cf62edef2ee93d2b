"""A reading that was shown can be had again, or it is said why not."""

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import cv2
import pytest
from django.core.management import CommandError, call_command

from clinic import intake, reading, registry
from clinic.models import ImageReading, ModelVersion, Overlay, Prediction, Study
from clinic.pacs.embedded import EmbeddedPacs
from clinic.reading import open_reader
from tests.inference import tiny

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    room = tmp_path_factory.mktemp("artifacts")
    tiny.save(room / "first")
    tiny.save(room / "second", replace(tiny.SPEC, name="second", temperature=3.0))
    return room


@pytest.fixture
def pacs(settings):
    settings.QUIET_SECONDS = 0
    return EmbeddedPacs(settings.EMBEDDED_ROOT)


@pytest.fixture
def model(folders):
    version = registry.register(folder=folders / "first", by=None)
    return registry.promote(version=version, by=None, reason="the first")


@pytest.fixture
def study(model, pacs):
    """Two radiographs, read."""
    for data in tiny.images(1):
        pacs.store(data)
    (study,) = intake.sync(pacs)
    reading.read(study=study, pacs=pacs)
    return Study.objects.get()


def run(*arguments):
    """Exit code and the printed lines."""
    out, code = StringIO(), 0
    try:
        call_command("replay", *map(str, arguments), stdout=out)
    except SystemExit as end:
        code = end.code
    return code, [json.loads(line) for line in out.getvalue().splitlines()]


def serve(version):
    ModelVersion.objects.filter(stage="active").update(stage="retired")
    ModelVersion.objects.filter(pk=version.pk).update(stage="active", served=True)


def test_a_reading_is_the_same_again(study, model):
    code, (line,) = run(study.pk)
    assert (code, line["outcome"], line["reason"]) == (0, "same", "")
    assert line["digest"] == model.digest and line["tolerance"] == 0.025
    assert line["probability_now"] == pytest.approx(line["probability"], abs=0.025)


@pytest.mark.parametrize("by", ["pk", "uid"])
def test_a_study_is_named_by_its_number_or_its_uid(study, by):
    assert run(getattr(study, by))[0] == 0


def test_after_a_promotion_each_is_read_by_the_model_that_gave_it(
    study, model, folders, pacs
):
    second = registry.register(folder=folders / "second", by=None)
    serve(second)
    Study.objects.update(state="waiting", revision=2)
    reading.read(study=study, pacs=pacs)
    code, lines = run(study.pk)
    assert (code, [line["outcome"] for line in lines]) == (0, ["same", "same"])
    assert [line["superseded"] for line in lines] == [True, False]
    assert [line["digest"] for line in lines] == [model.digest, second.digest]
    assert abs(lines[0]["probability"] - lines[1]["probability"]) > 0.025


@pytest.mark.parametrize(
    ("rows", "change", "words"),
    [
        (Prediction, {"probability": 0.1}, "The probability was 0.1000 and is now 0."),
        (
            Prediction,
            {"state": "unreadable", "reason": "x"},
            "It was unreadable and is now read.",
        ),
        (ImageReading, {"voted": False, "probability": 0.0}, " voted then or now"),
        (
            ImageReading,
            {"state": "not_ours", "reason": "x"},
            "The state of image 1, 2 has changed.",
        ),
        (ImageReading, {"code": "blank"}, "The reason of image 1, 2 has changed."),
        (
            ImageReading,
            {"probability": 0.0},
            "The probability of image 1, 2 has changed.",
        ),
        (ImageReading, {"views": []}, "The views of image 1, 2 have changed."),
        (Prediction, {"code": "blank"}, "The reason was “blank” and is now none."),
        (Prediction, {"threshold": 0.123}, "The threshold has changed."),
        (Prediction, {"confident_from": 0.99}, "The limit of confidence has changed."),
        (Prediction, {"aggregation": "mean"}, "in another way."),
    ],
)
def test_what_differs_is_said(study, rows, change, words):
    rows.objects.update(**change)
    code, (line,) = run(study.pk)
    assert (code, line["outcome"]) == (1, "different")
    assert words in line["reason"]


@pytest.mark.parametrize("mark", ["flagged", "confident"])
def test_a_mark_that_was_shown_and_is_not_so_is_said(study, mark):
    shown = Prediction.objects.get()
    was = getattr(shown, mark)
    about = {"flagged": True, "confident": True} if not was else {"confident": False}
    Prediction.objects.update(**about | {mark: not was})
    code, (line,) = run(study.pk)
    assert (code, line["outcome"]) == (1, "different")
    told = f"It was {'' if not was else 'not '}{mark} and is {'' if was else 'not '}now"
    assert told in line["reason"]


def test_views_that_lay_elsewhere_are_said(study):
    image = ImageReading.objects.first()
    image.views[0]["affine"][0][2] += 1
    image.save()
    code, (line,) = run(study.pk)
    assert (code, line["reason"]) == (1, "The views of image 1 have changed.")


@pytest.fixture
def explained(study, pacs):
    reading.explain(prediction=Prediction.objects.get(), pacs=pacs)
    assert Overlay.objects.count() == 4
    return study


def test_overlays_are_drawn_again_and_are_the_same(explained):
    assert run(explained.pk)[0] == 0


def test_an_overlay_that_pointed_elsewhere_is_said(explained):
    overlay = Overlay.objects.filter(method="lrp", peak__isnull=False).first()
    overlay.peak = [overlay.peak[0] + 1.5, overlay.peak[1]]
    overlay.save()
    code, (line,) = run(explained.pk)
    assert code == 1
    assert line["reason"] == (
        f"The lrp overlay of instance {overlay.image.instance_id} has its peak at "
        "another place."
    )


@pytest.mark.parametrize("tampering", ["gone", "empty", "other", "size", "alike"])
def test_an_overlay_that_was_another_picture_is_said(explained, tampering):
    overlay = Overlay.objects.filter(method="lrp", peak__isnull=False).first()
    path = Path(overlay.png.path)
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if tampering == "gone":
        path.unlink()
    elif tampering == "empty":
        path.write_bytes(b"")
    else:
        other = {
            "other": picture[::-1],
            "size": picture[:-1],
            "alike": picture // 2 * 2,
        }
        cv2.imwrite(str(path), other[tampering])
    code, (line,) = run(explained.pk)
    assert code == (0 if tampering == "alike" else 1)
    assert tampering == "alike" or "is another picture" in line["reason"]


def test_an_overlay_of_a_method_that_is_none_is_said(explained):
    Overlay.objects.filter(method="lrp").update(method="smoothgrad")
    code, (line,) = run(explained.pk)
    assert code == 1 and "smoothgrad overlay of instance" in line["reason"]


def test_the_tolerance_can_be_stated(study):
    Prediction.objects.update(probability=0.1, flagged=False, confident=False)
    assert run(study.pk, "--tolerance", "0.99")[0] == 0


def test_images_that_are_gone_are_told(study, pacs):
    next(pacs.root.rglob("*.dcm")).unlink()
    code, (line,) = run(study.pk)
    assert (code, line["outcome"]) == (2, "impossible")
    assert line["reason"] == "1 of 2 images are no longer in the PACS."


def test_images_that_were_replaced_are_told(study):
    image = ImageReading.objects.first()
    image.instance.digest = "other"
    image.instance.save()
    code, (line,) = run(study.pk)
    assert (code, line["outcome"]) == (2, "impossible")
    assert line["reason"].startswith("1 of 2 images were replaced in the PACS")


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_a_model_that_is_gone_is_told(study, model, settings, damage):
    kept = settings.MODEL_ROOT / model.folder / "card.json"
    kept.unlink() if damage == "gone" else kept.write_text("{}")
    open_reader.cache_clear()
    code, (line,) = run(study.pk)
    assert (code, line["outcome"]) == (2, "impossible")
    assert line["reason"].startswith("The model cannot be had any more: ")


def test_a_pacs_that_is_away_is_told(study, settings):
    settings.PACS, settings.ORTHANC_URL = "orthanc", "http://127.0.0.1:9"
    code, (line,) = run(study.pk)
    assert (code, line["outcome"]) == (2, "impossible")
    assert line["reason"]


def test_what_is_unknown_or_unread_is_refused(study, pacs):
    with pytest.raises(CommandError, match="No study is known by"):
        run("1.2.3")
    Prediction.objects.all().update(study=Study.objects.create(pacs_id="x", uid="9"))
    with pytest.raises(CommandError, match="Nothing was read"):
        run(study.pk)
