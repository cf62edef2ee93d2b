"""From a network's logits to probabilities."""

import numpy as np


def probability(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Sigmoid of `logits` / `temperature`, [0, 1], in double precision.

    A temperature above 1 takes back overconfidence (Guo et al. 2017,
    arXiv:1706.04599) and leaves the order of the images as it was.
    """
    scaled = np.asarray(logits, np.float64) / temperature
    # The usual 1 / (1 + exp(-x)) overflows; tanh does not.
    return 0.5 * (1.0 + np.tanh(0.5 * scaled))
