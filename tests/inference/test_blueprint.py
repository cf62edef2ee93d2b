import pytest

from inference.blueprint import Block, blueprint, divisible


def test_channels_are_multiples_of_eight_and_hardly_fewer():
    found = [divisible(n) for n in (1, 12, 19.2, 28.8, 134.4, 192)]
    assert found == [8, 16, 24, 32, 136, 192]


def test_a_block_by_hand():
    """8 -> 24 -> 8 channels, 3 x 3, gated by 8, on 10 x 5 pixels."""
    block = Block(before=8, middle=24, after=8, kernel=3, squeezed=8)
    batch_norms = 2 * (24 + 24 + 8)
    weights = 8 * 24 + 24 * 9 + (24 * 8 + 8) + (8 * 24 + 24) + 24 * 8
    assert block.parameters == weights + batch_norms
    assert block.madds(10, 5) == 50 * (8 * 24 + 24 * 9 + 24 * 8) + 2 * 24 * 8
    assert block.skips and block.widens and block.expansion == 3


def test_strides_round_up():
    block = Block(before=8, middle=8, after=16, kernel=5, stride=2)
    assert not block.skips
    assert block.madds(5, 3) == 6 * (25 * 8 + 8 * 16)


@pytest.mark.parametrize(
    ("width", "depths", "count", "said"),
    [
        (1.1, (2,) * 5, 10, r"width 1.1 is none of \(1.0, 1.2\)"),
        (1.0, (2, 2, 2, 2, 5), 13, "depth 5"),
        (1.0, (2,) * 4, 8, "4 depths for 5 stages"),
        (1.0, (2,) * 5, 9, "9 kernels for 10 blocks"),
    ],
)
def test_what_nobody_can_build_is_refused_in_words(width, depths, count, said):
    with pytest.raises(ValueError, match=said):
        blueprint(width, depths, (3,) * count, (3,) * count)
