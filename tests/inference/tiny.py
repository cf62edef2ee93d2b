"""A small model that has learnt nothing, and the bytes of images to read with it."""

from io import BytesIO

import cv2
import torch
from torch import nn

from inference import artifact, dicom, preprocess
from inference.artifact import Spec
from inference.networks import Arch, build
from inference.phantom import study
from inference.preprocess import Recipe

SPEC = Spec(
    name="tiny",
    arch=Arch("resnet18", (("width", 16),)),
    recipe=Recipe(),
    aggregation="alo",
    threshold=0.5,
)

SIZE = {"rows": 320, "columns": 250}


def network(arch=SPEC.arch, seed=3):
    """Untrained, but with logits of phantoms that spread around 0."""
    recipe = Recipe()
    frames = [dicom.frame(ds).pixels for n in range(3) for ds in study(n, **SIZE)]
    views = [preprocess.views(pixels, recipe)[0] for pixels in frames]
    inputs = torch.from_numpy(preprocess.tensor(views, recipe))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        made = build(arch)
        made(inputs)  # batch norms see what they will be used for
        made.eval()
        logits = made(inputs)
        last = [m for m in made.modules() if isinstance(m, nn.Linear)][-1]
        last.bias.sub_(logits.mean()).div_(logits.std())
        last.weight.div_(logits.std())
    return made


def save(folder, spec=SPEC):
    """Write the artifact and give its digest."""
    return artifact.save(
        folder, spec, network(spec.arch).state_dict(), {"name": "tiny"}
    )


def file_of(dataset, **tags):
    """`dataset` as a file, with some tags set to other values."""
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def images(seed=1, **tags):
    """The two radiographs of a phantom study, as DICOM files."""
    return [file_of(ds, **tags) for ds in study(seed, **SIZE)]


def picture_of(pixels):
    return cv2.imencode(".png", pixels)[1].tobytes()


def picture(seed=1, suffix=".png"):
    pixels = study(seed, **SIZE)[0].pixel_array
    return cv2.imencode(suffix, (pixels >> 4).astype("uint8"))[1].tobytes()
