"""Which cells of a map are taught to light up."""

import numpy as np

from search.targets import targets


def test_cells_in_a_box_or_touching_it_are_marked():
    boxes = [np.array([[30, 10, 50, 20]], np.float32), np.zeros((0, 4), np.float32)]
    cells = targets(boxes, (3, 5), origin=0.0)
    assert cells.shape == (2, 1, 3, 5)
    # Rows look at 0, 16, 32 (reach 8): 16 lies within 10-20. Columns: 32 and 48.
    assert cells[0, 0].nonzero().tolist() == [[1, 2], [1, 3]]
    assert not cells[1].any()


def test_overlapping_boxes_count_once():
    boxes = [np.array([[0, 0, 40, 40], [0, 0, 40, 40]], np.float32)]
    assert targets(boxes, (3, 3), origin=8.0).max() == 1


def test_the_origin_of_the_cells_is_the_networks():
    box = [np.array([[30, 30, 31, 31]], np.float32)]
    assert targets(box, (4, 4), 0.0).nonzero().tolist() == [[0, 0, 2, 2]]
    assert targets(box, (4, 4), 14.0).nonzero().tolist() == [[0, 0, 1, 1]]


def test_finer_cells_lie_closer():
    box = [np.array([[30, 30, 31, 31]], np.float32)]
    found = targets(box, (8, 8), 0.0, stride=8).nonzero()
    assert found.tolist() == [[0, 0, 4, 4]]
