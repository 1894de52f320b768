"""Which groups of a population are drawn: strata of groups that are alike, at least two drawn in each.

W. G. Cochran, "Sampling Techniques", 3rd edition, 1977, chapters 5 and 5A.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from swatsim.errors import SwatsimError

if TYPE_CHECKING:
    from random import Random

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

# Fewer groups would leave the variance itself too uncertain: a t quantile of few degrees of freedom.
FEWEST_DRAWN = 64
# So many are drawn where groups may be as small: few that are unlike all others do not decide then.
MANY_DRAWN = 128
DRAWN_IN_STRATUM = 2
# Of all groups: where the fewest are more, and more than what is asked for, a sample saves too little.
MOST_DRAWN = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """What is asked for: the part of a pass that is simulated, and the seed of the draw."""

    fraction: float
    seed: int = 0

    def __post_init__(self) -> None:
        number = isinstance(self.fraction, int | float) and not isinstance(self.fraction, bool)
        if not number or not 0 < self.fraction <= 1:
            raise SwatsimError(f"sample: got {self.fraction!r}, expected a number above 0 and at most 1")
        if not isinstance(self.seed, int) or isinstance(self.seed, bool) or self.seed < 0:
            raise SwatsimError(f"seed: got {self.seed!r}, expected an integer from 0")

    @property
    def whole(self) -> bool:
        """Whether everything is simulated."""
        return self.fraction == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """A population of `count` groups of `size` consecutive units each; units after the last group are all simulated."""

    size: int
    count: int
    units: int
    drawn: int  # groups that are to be drawn

    @property
    def rest(self) -> range:
        """Units that are in no group."""
        return range(self.size * self.count, self.units)

    def of(self, group: int) -> range:
        """The units of a group."""
        return range(group * self.size, (group + 1) * self.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """Drawn groups, and which of them stands for each group that is not drawn."""

    drawn: IntArray  # [drawn]: numbers of groups, ascending
    stratum: IntArray  # [drawn]
    donor: IntArray  # [group]: index into `drawn`; its own for one that is drawn
    sizes: IntArray  # [stratum]: groups

    @property
    def weights(self) -> IntArray:
        """[drawn]: groups that each stands for, itself among them."""
        return np.bincount(self.donor, minlength=self.drawn.size).astype(np.int64)


def cut_into_groups(units: int, granule: int, usual: int, fraction: float) -> Groups | None:
    """Cut units into groups of whole granules, `usual` units each or fewer; None: too few groups to draw from."""
    granules = units // granule
    most = int(granules * fraction / MANY_DRAWN)
    size = granule * max(1, min(usual // granule, most))
    count = units // size
    drawn = max(FEWEST_DRAWN, round(count * fraction))
    if count * max(fraction, MOST_DRAWN) < FEWEST_DRAWN or drawn >= count:
        return None
    return Groups(size=size, count=count, units=units, drawn=drawn)


def draw(auxiliary: FloatArray, drawn: int, random: Random) -> Draw:
    """Draw from strata of about equal size, made of groups with a like `auxiliary` [group].

    Groups that are not drawn are dealt to those drawn in their stratum as evenly as can be.
    """
    groups = auxiliary.size
    strata = np.array_split(np.argsort(auxiliary, kind="stable"), drawn // DRAWN_IN_STRATUM)
    shares = np.bincount(np.arange(drawn) % len(strata), minlength=len(strata))
    members = [sorted(random.sample(each.tolist(), int(share))) for each, share in zip(strata, shares, strict=True)]
    numbers = np.array(sorted(group for each in members for group in each), dtype=np.int64)
    donor, stratum = np.empty(groups, dtype=np.int64), np.empty(drawn, dtype=np.int64)
    for number, (each, chosen) in enumerate(zip(strata, members, strict=True)):
        places = np.searchsorted(numbers, chosen)
        stratum[places] = number
        others, first = np.setdiff1d(each, chosen), random.randrange(len(chosen))
        # Which of them stand for one more than the others, and for whom, is left to chance.
        dealt = [int(places[(first + turn) % len(chosen)]) for turn in range(others.size)]
        random.shuffle(dealt)
        donor[others], donor[chosen] = dealt, places
    return Draw(drawn=numbers, stratum=stratum, donor=donor, sizes=np.array([each.size for each in strata]))
