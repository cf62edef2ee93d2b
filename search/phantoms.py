"""Phantoms as examples: as many as wanted, each fracture's place known exactly."""

import numpy as np
from tqdm import tqdm

from inference import preprocess
from inference.phantom import phantom
from inference.preprocess import Recipe
from search.samples import Samples, placed

VIEWS = ("pa", "lateral")
RARE = 0.15  # share of the wrists with a cast, and of those with metal


def phantoms(count: int, recipe: Recipe, first: int = 0) -> Samples:
    """Views of `count` wrists, two of each, half of them broken.

    first: the seed of the first wrist; others give other wrists.
    """
    pixels, labels, owners, boxes, studies = [], [], [], [], []
    for seed in tqdm(range(first, first + count), "phantoms", unit="wrist"):
        rng = np.random.default_rng([seed, 1])
        cast, metal = (bool(rng.random() < RARE) for _ in range(2))
        for view in VIEWS:
            made = phantom(
                seed, view=view, fractured=seed % 2 == 1, cast=cast, metal=metal
            )
            grey = (made.pixels >> 4).astype(np.uint8)  # 12 bits to 8
            for found in preprocess.views(grey, recipe):
                inside = placed([made.box] if made.box else [], found.affine, recipe)
                pixels.append(found.pixels)
                labels.append(len(inside) > 0)
                owners.append(len(studies))
                boxes.append(inside)
            studies.append(seed)
    owners = np.array(owners)
    labels = np.array(labels, np.int64)
    return Samples(
        np.stack(pixels),
        labels,
        owners,
        tuple(boxes),
        studies=np.array(studies)[owners],
    )
