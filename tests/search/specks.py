"""Studies whose fractures are specks: one to three small images, one of which shows it.

Small enough that a network learns them within seconds.
"""

import csv

import cv2
import numpy as np
import torch

from inference import artifact
from inference.artifact import Spec
from inference.networks import Arch, build
from inference.preprocess import Recipe

RECIPE = Recipe(
    width=32, height=48, polarity="none", split=False, align=False, mean=0.3, std=0.1
)
TINY = Arch("resnet18", (("width", 16),))


def image(rng, *, speck):
    pixels = rng.normal(70, 12, (48, 32))
    if speck:
        row, column = rng.integers(8, 36), rng.integers(8, 20)
        pixels[row : row + 6, column : column + 6] += 120
    return pixels.clip(0, 255).astype(np.uint8)


def folder(path, count):
    """`count` patients of one study each, every second one fractured."""
    path.mkdir()
    rng, rows = np.random.default_rng(0), []
    for study in range(count):
        views = 1 + study % 3
        shows = rng.integers(views) if study % 2 else -1
        for view in range(views):
            name = f"{study}-{view}.png"
            cv2.imwrite(str(path / name), image(rng, speck=view == shows))
            row = {"image": name, "label": int(view == shows)}
            rows.append(row | {"study": study, "patient": study, "part": "wrist"})
    with (path / "examples.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def model(path, seed=0):
    """A network of single images that has learnt nothing yet, and holds specks for
    sound: untrained features see them well enough, so its last layer is turned around.
    """
    torch.manual_seed(seed)
    made = build(TINY)
    made(torch.randn(16, 1, 48, 32))
    with torch.no_grad():
        made.head[-1].weight.abs_().neg_()
    spec = Spec("tiny", TINY, RECIPE, "alo", threshold=0.5)
    artifact.save(path, spec, made.state_dict(), {})
    return path
