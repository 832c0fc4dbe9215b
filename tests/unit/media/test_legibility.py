from __future__ import annotations

import numpy as np
import pytest

from shared.media.legibility import judge

DICE = np.random.default_rng(1)
CHECKERS = np.kron(np.indices((12, 20)).sum(axis=0) % 2, np.ones((15, 16))) * 160.0 + 50
BLACK = np.zeros((180, 320))
GRADIENT = np.tile(np.linspace(30, 220, 320), (180, 1))
CREDITS = np.where(DICE.random((180, 320)) < 0.06, 200.0, 4.0)


@pytest.mark.parametrize(
    ("picture", "is_good"),
    [
        (CHECKERS, True),
        (CHECKERS + DICE.normal(0, 8, CHECKERS.shape), True),
        (CREDITS, True),
        (BLACK, False),
        (BLACK + 12 + DICE.normal(0, 4, BLACK.shape), False),
        (CHECKERS / 10, False),  # hardly lit
        (BLACK + 255, False),
        (BLACK + 128 + DICE.normal(0, 8, BLACK.shape), False),  # grain on gray
        (GRADIENT, False),
        (np.full((2, 2), 128.0), False),
        (np.full((1, 320), 128.0), False),
    ],
    ids=[
        *("sharp", "sharp with grain", "credits", "black", "grain on black", "hardly lit", "white", "grain on gray"),
        *("without an edge", "tiny", "a line"),
    ],
)
def test_a_picture_will_do_when_it_is_lit_and_sharp(picture: np.ndarray, is_good: bool) -> None:
    assert judge(np.clip(picture, 0, 255).astype(np.float32)).is_good is is_good


def test_the_sharper_picture_is_the_better_one_and_any_is_better_than_black() -> None:
    soft = sum(np.roll(CHECKERS, shift, axis=1) for shift in range(16)) / 16
    looks = [judge(picture.astype(np.float32)) for picture in (CHECKERS, soft, BLACK + 255, CHECKERS / 10, BLACK)]
    assert looks == sorted(looks, reverse=True)
