"""The models in the box, as a newcomer's first study meets them."""

import io
from pathlib import Path

import pytest

from inference import artifact, phantom
from inference.explain import EXPLAINERS
from inference.reader import Source, open_reader

SHIPPED = sorted((Path(artifact.__file__).parent / "models").glob("*/spec.json"))


def as_file(dataset) -> io.BytesIO:
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return io.BytesIO(file.getvalue())


@pytest.mark.parametrize("spec", SHIPPED, ids=lambda path: path.parent.name)
class TestEveryShippedModel:
    def test_reads_and_explains_a_study(self, spec):
        datasets = phantom.study(3)
        sources = [
            Source(ds.SOPInstanceUID, lambda ds=ds: as_file(ds)) for ds in datasets
        ]
        reader = open_reader(spec.parent, artifact.digest(spec.parent))
        reading = reader.read(sources, "upper_limb")
        # A phantom is no radiograph: only the model of the first tour has to take it.
        aside = [image for image in reading.images if image.state != "read"]
        assert not aside or spec.parent.name != "committee"
        assert {image.code for image in aside} <= {"unlike_training"}
        if reading.state == "read":
            assert 0 < reading.probability < 1
        overlays = reader.explain(sources[0])
        assert overlays.keys() == EXPLAINERS.keys()

    def test_has_a_card_that_names_its_data_and_what_it_is_for(self, spec):
        card = artifact.load_card(spec.parent)
        assert card["data"]["licence"]
        assert "not a medical device" in card["intended_use"]
        assert card["test"]["auroc"]["low"] < card["test"]["auroc"]["high"]


def test_there_is_a_model_to_put_into_service():
    names = {path.parent.name for path in SHIPPED}
    assert {"committee", "squeezenet", "resnet18", "rx-lite"} == names
