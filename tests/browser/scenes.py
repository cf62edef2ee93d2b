"""Studies that come in by the front door, and what a model would leave of them."""

import copy
import io
from datetime import timedelta

import cv2
import numpy as np
from django.core.files.base import ContentFile
from django.utils import timezone

from clinic import intake
from clinic.models import Instance, Overlay, Prediction, Study
from inference import overlay, phantom
from inference.dx import dx_dataset
from tests.clinic.factories import make_prediction


class Scene:
    def __init__(self, pacs):
        self.pacs = pacs
        self.datasets = {}  # of the phantoms, by the UID of their study

    def push(self, *datasets):
        """Store DICOM objects and take them in; gives their study as it then is."""
        for ds in datasets:
            buffer = io.BytesIO()
            ds.save_as(buffer, enforce_file_format=True)
            self.pacs.store(buffer.getvalue())
        intake.sync(self.pacs)
        return Study.objects.get(uid=datasets[0].StudyInstanceUID)

    def phantom(self, seed, *, waited=0, probability=None, **options):
        """A phantom's study, `waited` minutes ago; read if `probability` is given."""
        fractured = options.pop("fractured", None)
        datasets = phantom.study(seed, fractured=fractured, rows=512, columns=400)
        self.datasets[datasets[0].StudyInstanceUID] = datasets
        for ds in datasets:
            for keyword, value in options.items():
                setattr(ds, keyword, value)
        study = self.push(*datasets)
        study.arrived = timezone.now() - timedelta(minutes=waited)
        study.save()
        if probability is not None:
            self.read(study, probability)
        return Study.objects.get(pk=study.pk)

    def another_image(self, study):
        """A third view of a phantom, not pushed yet."""
        ds = copy.deepcopy(self.datasets[study.uid][0])
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3.99"
        ds.InstanceNumber = 3
        return ds

    def read(self, study, probability=0.9, **fields):
        study.refresh_from_db()
        now = timezone.now()
        study.predictions.filter(superseded_at=None).update(superseded_at=now)
        return make_prediction(study, probability, **fields)

    def explain(self, prediction, draw=None):
        """Overlays for each image; draw(instance, rows, columns) -> PNG, or a blob."""
        for image in prediction.images.select_related("instance"):
            rows, columns = image.instance.rows, image.instance.columns
            for method in ("lrp", "gradcam"):
                png = (draw or blob)(method, rows, columns)
                Overlay.objects.create(
                    image=image,
                    method=method,
                    png=ContentFile(png, f"{image.pk}-{method}.png"),
                    rows=rows,
                    columns=columns,
                )
        prediction.explanation = Prediction.Explanation.DONE
        prediction.save()


def blob(method, rows, columns):
    """Relevance as a model might see it: red in the middle, blue beside it."""
    y, x = np.mgrid[0:rows, 0:columns]

    def hill(at_x, at_y, width):
        distance = (x - at_x * columns) ** 2 + (y - at_y * rows) ** 2
        return np.exp(-distance / (2 * (width * columns) ** 2))

    relevance = hill(0.48, 0.55, 0.09 if method == "gradcam" else 0.04)
    if method == "lrp":
        relevance -= 0.5 * hill(0.6, 0.75, 0.05)
    identity = np.array([[1.0, 0, 0], [0, 1, 0]])
    return overlay.render(
        [(relevance.astype(np.float32), identity)], (rows, columns)
    ).png


# (x, y) of the landmarks and their radius, in pixels of a frame of 1500 x 2000.
LANDMARKS = ((310.5, 270.5), (1240.5, 480.5), (420.5, 1630.5))
RADIUS = 22


def landmark_mask(rows, columns):
    """1 within RADIUS of a landmark; pixel (i, j) covers [j, j + 1) x [i, i + 1)."""
    y, x = (np.mgrid[0:rows, 0:columns] + 0.5) * 1500 / columns
    mask = np.zeros((rows, columns), np.uint8)
    for at_x, at_y in LANDMARKS:
        mask |= ((x - at_x) ** 2 + (y - at_y) ** 2 <= RADIUS**2).astype(np.uint8)
    return mask


def landmark_dx(rows=2000, columns=1500, **tags):
    """A dark 12-bit frame on which only the landmarks are bright."""
    pixels = np.full((rows, columns), 300, np.uint16)
    pixels[landmark_mask(rows, columns) == 1] = 4000
    return dx_dataset(
        pixels,
        patient_id="LANDMARK",
        patient_name="LANDMARK^ONE",
        study_uid="1.2.3.4.7",
        series_uid="1.2.3.4.7.1",
        sop_uid="1.2.3.4.7.1.1",
        **tags,
    )


def landmark_png(method, rows, columns):
    """Opaque green exactly where the landmarks are, at most 1024 pixels a side."""
    scale = min(1, 1024 / max(rows, columns))
    size = (round(columns * scale), round(rows * scale))
    mask = landmark_mask(rows, columns) * 255
    alpha = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
    green = np.zeros((*alpha.shape, 4), np.uint8)
    green[..., 1], green[..., 3] = 255, alpha
    return cv2.imencode(".png", green)[1].tobytes()


def images_of(study):
    return list(Instance.objects.images().filter(series__study=study))
