import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from pydicom import dcmread
from pydicom.uid import KeyObjectSelectionDocumentStorage

from inference import artifact, doubt, preprocess, reader, runtime
from inference.artifact import DamagedArtifact
from inference.doubt import Familiar, Limits
from inference.dx import dx_dataset
from inference.phantom import phantom, study
from inference.reader import Reader, Source, open_reader
from inference.unreadable import UnreadableFrame
from tests.inference import tiny

SCOPE = "upper_limb"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    return folder, tiny.save(folder)


@pytest.fixture(scope="module")
def tiny_reader(model):
    return open_reader(*model)


def source(data, uid="1"):
    return Source(uid, lambda: BytesIO(data))


def sources(*files):
    return [source(data, f"uid {i}") for i, data in enumerate(files)]


def damaged():
    return tiny.images()[0][:-5000]


def knee():
    return tiny.images(BodyPartExamined="KNEE", StudyDescription="Knie rechts")[0]


def key_object():
    dataset = dcmread(BytesIO(tiny.images()[0]))
    del dataset.PixelData
    kind = KeyObjectSelectionDocumentStorage
    dataset.file_meta.MediaStorageSOPClassUID = kind
    return tiny.file_of(dataset, SOPClassUID=kind, Modality="KO")


def test_a_study_is_read_image_by_image(tiny_reader):
    reading = tiny_reader.read(sources(*tiny.images()), SCOPE)
    assert (reading.state, reading.code, reading.reason) == ("read", "", "")
    assert [image.uid for image in reading.images] == ["uid 0", "uid 1"]
    assert reading.probability == max(image.probability for image in reading.images)
    assert reading.aggregation == "alo" and reading.threshold == 0.5
    assert reading.flagged == (reading.probability >= 0.5)
    for image in reading.images:
        assert (image.state, image.code, image.reason) == ("read", "", "")
        assert image.probability == max(view.probability for view in image.views)
        assert np.shape(image.views[0].affine) == (2, 3)


def test_probabilities_are_those_of_the_network_on_its_views(model):
    spec = replace(tiny.SPEC, temperature=2.5)
    network = artifact.load_network(model[0])
    data = tiny.images(seed=4)[0]
    frame = reader._frame(data, SCOPE)
    views = preprocess.views(frame.pixels, spec.recipe)
    with torch.inference_mode():
        inputs = torch.from_numpy(preprocess.tensor(views, spec.recipe))
        wanted = torch.sigmoid(network(inputs) / 2.5).ravel().tolist()
    (image,) = Reader(spec, network).read([source(data)], SCOPE).images
    seen = [view.probability for view in image.views]
    # A quarter of a logit's tolerance is the steepest a sigmoid gets.
    assert seen == pytest.approx(wanted, abs=0.0125)
    assert [view.affine for view in image.views] == [v.affine.tolist() for v in views]


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_plain_pictures_are_read_too(tiny_reader, suffix):
    reading = tiny_reader.read([source(tiny.picture(suffix=suffix))], SCOPE)
    assert reading.state == "read"


def test_both_wrists_of_one_plate_are_views_of_one_image(tiny_reader):
    drawn = phantom(2, both_wrists=True, rows=400, columns=600)
    plate = dx_dataset(
        drawn.pixels,
        patient_id="P",
        patient_name="P",
        study_uid="1.2",
        series_uid="1.2.1",
        sop_uid="1.2.1.1",
    )
    (image,) = tiny_reader.read([source(tiny.file_of(plate))], SCOPE).images
    assert len(image.views) == 2
    assert image.probability == max(view.probability for view in image.views)


def test_the_same_study_gives_the_same_reading(tiny_reader):
    files = tiny.images(seed=9)
    one, other = (tiny_reader.read(sources(*files), SCOPE) for _ in range(2))
    assert one.images == other.images and one.probability == other.probability


def test_an_image_is_read_alike_in_any_company(tiny_reader):
    files = tiny.images(seed=6) + tiny.images(seed=7)
    together = tiny_reader.read(sources(*files), SCOPE).images
    for image, data in zip(together, files):
        (alone,) = tiny_reader.read([source(data, image.uid)], SCOPE).images
        assert alone.views == image.views


BAD = {
    "not_dicom": lambda: b"A,B\n1,2\n",
    "empty": lambda: b"",
    "truncated": damaged,
    "truncated picture": lambda: tiny.picture(suffix=".jpg")[:-3000],
    "blank": lambda: tiny.file_of(blank()),
    "colour": lambda: tiny.images(PhotometricInterpretation="PALETTE COLOR")[0],
}


def blank():
    dataset = dcmread(BytesIO(tiny.images()[0]))
    dataset.PixelData = bytes(len(dataset.PixelData))
    return dataset


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_image_is_part_of_the_answer(tiny_reader, kind):
    good = tiny.images()[0]
    reading = tiny_reader.read(sources(BAD[kind](), good), SCOPE)
    bad, read = reading.images
    code = {"empty": "not_dicom"}.get(kind, kind.split()[0])
    assert (bad.state, bad.code) == ("unreadable", code)
    assert bad.reason.endswith(".")
    assert bad.probability is None and not bad.voted and bad.views == ()
    assert read.state == reading.state == "read"
    assert reading.probability == read.probability
    assert reading.reason == f"1 of 2 images: {bad.reason}"


STRANGERS = {
    "other_anatomy": knee,
    "not_an_image": key_object,
    "own_result": lambda: tiny.images(ManufacturerModelName="Osteon")[0],
}


@pytest.mark.parametrize("code", STRANGERS)
def test_what_is_not_ours_is_said_to_be_so(tiny_reader, code):
    reading = tiny_reader.read([source(STRANGERS[code]())], SCOPE)
    assert (reading.state, reading.code) == ("not_ours", code)
    assert reading.probability is None and not reading.flagged
    assert reading.reason == reading.images[0].reason != ""


@pytest.mark.parametrize("code", STRANGERS)
def test_strangers_in_a_read_study_are_no_complaint(tiny_reader, code):
    files = [tiny.images()[0], STRANGERS[code]()]
    reading = tiny_reader.read(sources(*files), SCOPE)
    assert (reading.state, reading.code, reading.reason) == ("read", "", "")
    assert [image.state for image in reading.images] == ["read", "not_ours"]


def test_one_image_that_should_have_been_read_makes_the_study_unreadable(tiny_reader):
    reading = tiny_reader.read(sources(knee(), damaged(), knee()), SCOPE)
    assert (reading.state, reading.code) == ("unreadable", "truncated")
    stranger, cut, _ = reading.images
    assert reading.reason == (
        f"2 of 3 images: {stranger.reason} 1 of 3 images: {cut.reason}"
    )


def careful(model, **limits):
    """The tiny model with limits, used to what it sees in its own phantoms."""
    spec, network = artifact.load_spec(model[0]), artifact.load_network(model[0])
    channels = network.channels
    known = Familiar(np.zeros(channels), np.eye(channels))
    return Reader(replace(spec, limits=Limits(**limits)), network, known)


DOUBTS = {
    "poor_quality": {"contrast": 2.0},
    "unlike_training": {"unlike": 1e-9},
    "uncertain": {"uncertain_to": 1.0},
}


@pytest.mark.parametrize("code", DOUBTS)
def test_what_the_model_had_better_not_judge_is_left_to_people(model, code):
    reading = careful(model, **DOUBTS[code]).read(sources(*tiny.images()), SCOPE)
    assert (reading.state, reading.code) == ("abstained", code)
    assert reading.probability is None
    assert not reading.flagged and not reading.confident
    words = reading.images[0].reason
    assert (
        words in doubt.REASONS.values() and reading.reason == f"2 of 2 images: {words}"
    )
    for image in reading.images:
        assert (image.state, image.code) == ("abstained", code)
        assert image.probability is None and image.views == () and not image.voted


@pytest.mark.parametrize("code", DOUBTS)
def test_limits_that_are_not_reached_change_nothing(model, tiny_reader, code):
    wide = {"contrast": 1e-6, "unlike": 1e9, "uncertain_to": 1e-9}
    reading = careful(model, **wide).read(sources(*tiny.images()), SCOPE)
    assert (reading.state, reading.reason) == ("read", "")


def test_a_study_is_read_by_the_images_that_leave_no_doubt(model):
    faint = np.random.default_rng(1).integers(100, 112, (300, 240), np.uint8)
    flat = tiny.picture_of(faint)
    files = tiny.images()[0], flat
    found = careful(model, contrast=0.2).read(sources(*files), SCOPE)
    assert [image.state for image in found.images] == ["read", "abstained"]
    assert found.state == "read" and found.probability == found.images[0].probability
    assert found.reason == f"1 of 2 images: {doubt.REASONS['contrast']}"


def test_one_image_left_to_people_outweighs_strangers_and_damage(model):
    files = knee(), damaged(), tiny.images()[0]
    reading = careful(model, contrast=2.0).read(sources(*files), SCOPE)
    assert (reading.state, reading.code) == ("abstained", "poor_quality")
    assert reading.reason.count("1 of 3 images") == 3


@pytest.mark.parametrize(("confident", "solid"), [(0.0, True), (1.0, False)])
def test_a_finding_is_confident_from_the_second_operating_point(
    model, confident, solid
):
    spec = replace(artifact.load_spec(model[0]), threshold=0.0, confident=confident)
    reader = Reader(spec, artifact.load_network(model[0]))
    reading = reader.read(sources(*tiny.images()), SCOPE)
    assert reading.flagged and reading.confident is solid
    assert reading.confident_from == confident


def test_several_codes_are_called_so(tiny_reader):
    reading = tiny_reader.read(sources(b"text", damaged()), SCOPE)
    assert (reading.state, reading.code) == ("unreadable", "several_reasons")


def test_a_study_without_images_says_so(tiny_reader):
    reading = tiny_reader.read([], SCOPE)
    assert (reading.state, reading.code) == ("unreadable", "no_images")
    assert reading.reason == "The study has no images."


def test_the_scope_decides_what_is_ours(tiny_reader):
    elbow = tiny.images(BodyPartExamined="ELBOW", StudyDescription="Elbow")[0]
    assert tiny_reader.read([source(elbow)], "upper_limb").state == "read"
    assert tiny_reader.read([source(elbow)], "wrist").state == "not_ours"
    with pytest.raises(ValueError, match="no scope 'ankle'"):
        tiny_reader.read([source(elbow)], "ankle")


def test_the_aggregation_is_the_models_own(model):
    files = tiny.images(seed=1)
    network = artifact.load_network(model[0])
    found = {}
    for rule in ("alo", "majority"):
        spec = replace(tiny.SPEC, aggregation=rule, threshold=0.0)
        found[rule] = Reader(spec, network).read(sources(*files), SCOPE)
    images = [image.probability for image in found["alo"].images]
    assert found["alo"].probability == max(images)
    # Each has the form of the network that was faster when it was compiled.
    lowest = pytest.approx(min(images), abs=runtime.TOLERANCE / 4)
    assert found["majority"].probability == lowest
    assert max(images) - min(images) > runtime.TOLERANCE / 2


def test_only_images_that_decided_are_said_to_have_voted(model):
    network = artifact.load_network(model[0])
    files = [b"text", *tiny.images(seed=1)]
    high = Reader(replace(tiny.SPEC, threshold=1.0), network)
    reading = high.read(sources(*files), SCOPE)
    chances = [image.probability or 0.0 for image in reading.images]
    voted = [image.voted for image in reading.images]
    assert voted == [chance == max(chances) for chance in chances]
    assert not reading.flagged


def test_a_picture_that_breaks_preprocessing_does_not_break_the_study(
    tiny_reader, monkeypatch, caplog
):
    views, name = preprocess.views, "DOE^JANE"

    def fragile(pixels, recipe):
        if pixels.shape == (320, 250):
            raise IndexError(name)
        return views(pixels, recipe)

    monkeypatch.setattr(preprocess, "views", fragile)
    whole = tiny.file_of(study(5, rows=300, columns=220)[0])
    reading = tiny_reader.read(sources(tiny.images()[0], whole), SCOPE)
    bad, good = reading.images
    assert (bad.state, bad.code) == ("unreadable", "unprocessable")
    assert "IndexError" in bad.reason and good.state == "read"
    assert "fragile" in caplog.text and "DOE" not in caplog.text + bad.reason


class Away(Exception):
    pass


def test_what_keeps_the_bytes_from_coming_is_not_the_images_fault(tiny_reader):
    def away():
        raise Away

    with pytest.raises(Away):
        tiny_reader.read([Source("1", away)], SCOPE)


def test_a_source_may_say_that_its_image_cannot_be_had(tiny_reader):
    def gone():
        raise UnreadableFrame("gone", "It is gone.")

    (image,) = tiny_reader.read([Source("1", gone)], SCOPE).images
    assert (image.state, image.code, image.reason) == (
        "unreadable",
        "gone",
        "It is gone.",
    )


def test_images_are_fetched_together_and_closed(tiny_reader):
    together = threading.Barrier(2, timeout=20)
    closed = []

    def opener(data):
        @contextmanager
        def opened():
            together.wait()
            yield BytesIO(data)
            closed.append(data)

        return opened

    files = tiny.images()
    listed = [Source(str(i), opener(data)) for i, data in enumerate(files)]
    assert tiny_reader.read(listed, SCOPE).state == "read"
    assert len(closed) == 2


def test_every_stage_is_timed(tiny_reader):
    start = time.perf_counter()
    spent = tiny_reader.read(sources(*tiny.images()), SCOPE).milliseconds
    wall = 1e3 * (time.perf_counter() - start)
    assert list(spent) == ["network", "total", "open", "decode", "preprocess"]
    assert 0 < spent["network"] <= spent["total"] <= wall + 1


def test_the_last_two_models_stay_warm(model, tmp_path):
    other = tmp_path / "other", tiny.save(tmp_path / "other")
    assert open_reader(*model) is open_reader(*model)
    first = open_reader(*model)
    open_reader(*other)
    assert open_reader(*model) is first


def test_an_altered_model_is_not_opened(tmp_path):
    digest = tiny.save(tmp_path / "tiny")
    card = tmp_path / "tiny" / "card.json"
    card.write_text(card.read_text().replace("tiny", "tidy"))
    with pytest.raises(DamagedArtifact):
        open_reader(tmp_path / "tiny", digest)


class TestExplanations:
    def test_each_method_covers_the_whole_frame(self, tiny_reader):
        overlays = tiny_reader.explain(source(tiny.images(seed=3)[0]))
        assert list(overlays) == ["lrp", "gradcam"]
        for overlay in overlays.values():
            picture = Image.open(BytesIO(overlay.png))
            assert picture.size == (250, 320) and picture.mode == "RGBA"

    def test_the_composite_of_the_model_is_used(self, model):
        network = artifact.load_network(model[0])
        data = tiny.images(seed=3)[0]
        maps = {
            name: Reader(replace(tiny.SPEC, composite=name), network)
            .explain(source(data), ["lrp"])["lrp"]
            .png
            for name in ("gamma", "epsilon")
        }
        assert maps["gamma"] != maps["epsilon"]

    def test_explaining_does_without_the_compiled_network(self, model):
        fresh = Reader(artifact.load_spec(model[0]), artifact.load_network(model[0]))
        fresh.explain(source(tiny.images()[0]), ["gradcam"])
        assert "runtime" not in vars(fresh)

    def test_what_cannot_be_read_cannot_be_explained(self, tiny_reader):
        with pytest.raises(UnreadableFrame):
            tiny_reader.explain(source(damaged()))
