"""An architecture drawn: a box a layer, in order, nothing over another."""

import numpy as np
import pytest

from clinic.drawing import draw
from search.spaces import SPACES


def plans():
    for name, space in SPACES.items():
        rng = np.random.default_rng(1)
        yield name, space, space.start
        yield from ((name, space, space.sample(rng)) for _ in range(3))


@pytest.mark.parametrize(("name", "space", "architecture"), [*plans()])
def test_every_block_is_there_in_its_order(name, space, architecture):
    plan = space.blueprint(architecture)
    drawn = draw(plan, 224, 192)
    blocks = [box for box in drawn.boxes if box.kind != "end"]
    assert len(blocks) == len(plan.blocks)
    for box, block in zip(blocks, plan.blocks, strict=True):
        assert f"kernel {block.kernel}×{block.kernel}," in box.title
        assert f"expansion {block.expansion}," in box.title
        assert f"→ {block.middle} → {block.after} channels" in box.title
        assert box.skips == block.skips == ("added to its input" in box.title)
        assert ("SE" in box.words) == bool(block.squeezed)
    assert len(drawn.brackets) == 7  # beginning, five stages, head


def test_boxes_and_brackets_stand_side_by_side_within_the_picture():
    space = SPACES["ofa-1.2"]
    drawn = draw(space.blueprint(space.start), 224, 224)
    for parts in (drawn.boxes, drawn.brackets):
        lefts = [part.left for part in parts]
        rights = [getattr(part, "right", part.left + 40) for part in parts]
        assert all(a < b for a, b in zip(rights, lefts[1:]))
        assert lefts[0] >= 0 and rights[-1] <= drawn.width
    for box in drawn.boxes:
        assert box.top > 10 and box.top + box.height < 270


def test_sizes_halve_with_every_stride():
    space = SPACES["ofa-1.2"]
    drawn = draw(space.blueprint(space.start), 236, 100)
    assert "24 channels" in drawn.brackets[0].words
    assert drawn.brackets[1].words == "stage 1: 32 channels, 59×25"
    assert drawn.brackets[5].words == "stage 5: 192 channels, 8×4"


def test_wider_layers_are_higher():
    space = SPACES["ofa-1.2"]
    drawn = draw(space.blueprint(space.start), 224, 224)
    assert drawn.boxes[-4].height > drawn.boxes[1].height
