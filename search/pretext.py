"""Learning to see without labels: two pictures of one radiograph look alike.

SimSiam (Chen & He 2021, arXiv:2011.10566): features of one augmented view predict
those of another, whose side learns nothing. No negative pairs, no momentum, so
small batches do.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from inference.networks import build
from search.group import CPU
from search.precision import halved
from search.samples import Samples, batches
from search.trainee import Plan, as_input

WIDTH, NARROW = 256, 64  # of the projection, and of the prediction's waist
BATCH = 64


def pretrained(plan: Plan, samples: Samples, epochs: int) -> dict[str, Tensor]:
    """Features of the plan's network after `epochs` over all of `samples`."""
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed)
        pupil = Siamese(build(plan.arch))
        rng = np.random.default_rng([plan.seed, 2])
        steps = epochs * (len(samples) // BATCH)
        optimizer = torch.optim.AdamW(pupil.parameters(), weight_decay=plan.decay)
        rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, max(steps, 2))
        with tqdm(total=steps, desc="without labels") as bar:
            for _ in range(epochs):
                order = rng.permutation(len(samples))
                for one, two in _pairs(samples, order, rng):
                    loss = pupil(as_input(one, plan.recipe), as_input(two, plan.recipe))
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    rates.step()
                    bar.set_postfix(loss=f"{loss.item():.3f}")
                    bar.update()
    state = pupil.network.state_dict()
    return {name: value for name, value in state.items() if name.startswith("features")}


class Siamese(nn.Module):
    """(N, 1, H, W) twice -> how unlike the two are, [-1, 1]; -1 is alike."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.projected = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            *_dense(network.channels, WIDTH),
            nn.Linear(WIDTH, WIDTH),
            nn.BatchNorm1d(WIDTH, affine=False),
        )
        self.predicted = nn.Sequential(*_dense(WIDTH, NARROW), nn.Linear(NARROW, WIDTH))

    def forward(self, one: Tensor, two: Tensor) -> Tensor:
        with halved(CPU):
            a, b = (self.projected(self.network.features(x)) for x in (one, two))
            guesses = self.predicted(a), self.predicted(b)
        pairs = zip(guesses, (b, a), strict=True)
        alike = [
            F.cosine_similarity(guess.float(), other.detach().float())
            for guess, other in pairs
        ]
        return -torch.cat(alike).mean()


def _pairs(samples: Samples, order: np.ndarray, rng: np.random.Generator):
    """Batches of one augmentation and of another of the same views."""
    both = (batches(samples, order, BATCH, np.random.default_rng(s)) for s in _two(rng))
    for one, two in zip(*both, strict=True):
        yield one.images, two.images


def _two(rng: np.random.Generator) -> list[int]:
    return rng.integers(2**32, size=2).tolist()


def _dense(before: int, after: int) -> list[nn.Module]:
    return [nn.Linear(before, after, bias=False), nn.BatchNorm1d(after), nn.ReLU()]
