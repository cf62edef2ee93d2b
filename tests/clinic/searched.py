"""A search small enough for tests: phantoms, tiny views, one epoch, real networks."""

import csv
import json

import cv2
import numpy as np

from clinic import provisions, search, terms
from inference.phantom import phantom
from search.data import Example
from search.parts import Parts

WANTED = {"training": 4, "validation": 2, "test": 1}  # patients of each kind


def side_of(patient):
    sides = Parts.of([Example(None, 0, "1", patient)])
    return next(side for side, found in vars(sides).items() if found)


def people():
    """(patient, fractured), as many of each kind on each side as WANTED says."""
    left = {(side, broken): n for side, n in WANTED.items() for broken in (1, 0)}
    number = 0
    while any(left.values()):
        number += 1
        side = side_of(f"P{number}")
        broken = int(left[side, 1] >= left[side, 0])
        if left[side, broken]:
            left[side, broken] -= 1
            yield f"P{number}", broken


def draw(folder):
    """A data set of phantoms, one image a patient."""
    folder.mkdir(parents=True)
    with (folder / "examples.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "label", "study", "patient", "boxes"])
        for seed, (patient, broken) in enumerate(people()):
            made = phantom(seed, fractured=bool(broken), rows=160, columns=128)
            pixels = (made.pixels >> 4).astype(np.uint8)
            cv2.imwrite(str(folder / f"{seed}.png"), pixels)
            boxes = json.dumps([made.box] if made.box else [])
            writer.writerow([f"{seed}.png", broken, patient, patient, boxes])
    return folder


def boxes_of(images, path):
    """A detector that finds every fracture of `draw`, and suspects each image else."""
    said = []
    with (images / "examples.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            places = [*json.loads(row["boxes"]), [4, 4, 20, 20], [90, 120, 20, 20]]
            said += [
                {"image_id": row["image"], "bbox": box, "score": 0.5} for box in places
            ]
    path.write_text(json.dumps(said))
    return path


def begin(parent, images, by=None, budget=3, size=(96, 64), **asked):
    """Candidates one after the other, and one of them at length."""
    said = {"epochs": 1, "final_epochs": 2, "batch": 8} | asked
    agreed = terms.settle(
        images=images, supernet=None, verdicts={}, parent=parent, **said
    )
    found = provisions.put(agreed)
    return search.start(
        parent=parent,
        by=by,
        space="ofa-1.0",
        strategy="random",
        budget=budget,
        workers=1,
        finals=1,
        size=size,
        objectives=len(agreed.objective),
        evaluation=found.terms.to_json(),
        pack=found.pack,
    )
