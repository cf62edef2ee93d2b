"""Which cells of a map are taught to light up."""

from math import exp, log

import numpy as np
import pytest
import torch

from search.targets import distraction, middles, suspicion, targets


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


class TestMiddles:
    def test_the_middle_counts_most_and_the_rim_little(self):
        box = [np.array([[40, 40, 120, 80]], np.float32)]
        cells = middles(box, (20, 24), 0.0, stride=8)[0, 0]
        assert divmod(cells.argmax().item(), 24) in {(7, 10), (8, 10)}
        # Half a side off the middle: 0.5 / 0.3 deviations.
        assert cells[7, 5] / cells[7, 10] == pytest.approx(
            exp(-0.5 * (0.5 / 0.3) ** 2), 1e-3
        )
        assert cells[0].max() == 0 and cells[:, 23].max() == 0

    def test_a_box_smaller_than_a_cell_is_seen_wherever_it_lies(self):
        for left in np.arange(30, 46, 0.5):
            box = [np.array([[left, left, left + 1, left + 1]], np.float32)]
            assert middles(box, (6, 6), 0.0).max() > 0.35

    def test_of_overlapping_boxes_the_nearer_counts(self):
        box = np.array([[0, 0, 40, 40]], np.float32)
        once, twice = (middles([np.repeat(box, n, 0)], (4, 4), 0.0) for n in (1, 2))
        assert torch.equal(once, twice)

    def test_who_has_none_is_taught_nothing(self):
        assert not middles([np.zeros((0, 4), np.float32)], (3, 3), 0.0).any()


class TestDistraction:
    CELLS = torch.zeros(2, 1, 2, 2)
    CELLS[0, 0, 0, 0], CELLS[0, 0, 0, 1] = 1.0, 0.5

    def test_it_is_the_cross_entropy_of_the_views_that_are_marked(self):
        """Of four cells looked at alike; the unmarked view counts as nothing."""
        assert distraction(torch.zeros(2, 1, 2, 2), self.CELLS) == pytest.approx(
            log(4) / 2
        )

    def test_it_grows_as_another_cell_draws_more_attention(self):
        marks = torch.zeros(2, 1, 2, 2)
        before = distraction(marks, self.CELLS)
        marks[0, 0, 1, 1] = 3.0
        assert distraction(marks, self.CELLS) > before
        marks[0, 0, 0] = torch.tensor([5.0, 4.0])
        assert distraction(marks, self.CELLS) < before

    def test_what_lifts_all_cells_alike_changes_nothing_but_is_suspicious(self):
        marks = torch.randn(2, 1, 2, 2, generator=torch.Generator().manual_seed(0))
        one, other = (distraction(marks + shift, self.CELLS) for shift in (0, 5))
        assert one.item() == pytest.approx(other.item(), abs=1e-5)
        assert suspicion(marks + 5, self.CELLS) != suspicion(marks, self.CELLS)

    def test_of_several_networks_the_mean_counts(self):
        marks = torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(0))
        for wrong in suspicion, distraction:
            each = [wrong(marks[:, i : i + 1], self.CELLS) for i in range(3)]
            mean = torch.stack(each).mean().item()
            assert wrong(marks, self.CELLS).item() == pytest.approx(mean)
