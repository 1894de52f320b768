"""The oracle of the datapath family `outer`: PEs that multiply values and add the products up, cycle by cycle.

It shares nothing with swatsim. `run_pass` executes a pass of a layer and returns its result, which must be the
convolution's, beside the cycles that it took (docs/datapaths/outer.md).
"""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from oracle_vectors import Convolution, OracleLayer, convolution_of, definition, layer_result


@dataclass(frozen=True, slots=True, kw_only=True)
class OuterMachine:
    """A grid of PEs of `image_values` x `other_values` multipliers."""

    grid: tuple[int, int] = (2, 2)
    image_values: int = 4
    other_values: int = 4
    entries: int = 64
    banks: int = 8
    bank_queue: int = 0
    bank_hash: str = "scnn"
    anticipate: str = "none"
    minimum_rows: int = 1
    barrier: str = "channel"
    halo: str = "added"
    merge: str = "overlapped"
    link: int = 1
    split: str = "columns"
    width_outside: bool = False  # the width is walked through outside of the height

    @property
    def pes(self) -> int:
        return self.grid[0] * self.grid[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One contraction: values of an image, and of another operand at places, that meet in results."""

    image: np.ndarray  # [image, channel, height, width]
    other: Callable[[int, int, int, tuple[int, int]], int]  # (image, channel, row, place) -> value
    rows: int
    places: tuple[list[int], list[int]]
    meet: tuple[Callable[[int, int], int | None], Callable[[int, int], int | None]]  # (coordinate, place) -> result
    phases: tuple[int, int]
    place_phases: Callable[[int, int], list[int]]  # (axis, place) -> phases of the coordinates it is paired with
    results: tuple[int, int]
    span: tuple[tuple[int, int], tuple[int, int]]  # border before and after, of each axis
    offsets: tuple[tuple[int, int], tuple[int, int]]  # largest and smallest distance of a coordinate from its window
    into: Callable[[int, int, int, tuple[int, int]], tuple[int, ...]]  # (image, channel, row, result) -> element
    weight_grad: bool


@dataclass(slots=True, kw_only=True)
class Tally:
    """What an execution costs; `sums` are its results."""

    cycles: int = 0
    products: int = 0
    inside: int = 0
    working: int = 0  # PE-cycles
    waited: int = 0  # cycles without exchanges
    once: int = 0  # the same if PEs waited once a round
    sums: dict[tuple[int, ...], int] = field(default_factory=lambda: defaultdict(int))


# ------------------------------------------------------------------------------------------------- a pass as jobs


def jobs(conv: Convolution) -> Iterator[Job]:
    for group in range(conv.groups):
        if conv.what == "x_grad":
            for phase in itertools.product(range(conv.stride[0]), range(conv.stride[1])):
                yield from input_grad_job(conv, group, phase)
        else:
            yield window_job(conv, group)


def window_job(conv: Convolution, group: int) -> Job:
    """Forward, and weight_grad: coordinate = stride · position + dilation · tap - padding."""
    filters, per_group = conv.shape_w[0] // conv.groups, conv.shape_w[1]
    weight_grad = conv.what == "w_grad"

    def distance(axis: int, tap: int) -> int:
        return conv.dilation[axis] * tap - conv.padding[2 * axis]

    def meeting(axis: int) -> Callable[[int, int], int | None]:
        def meet(coordinate: int, place: int) -> int | None:
            for found in range((conv.shape_w if weight_grad else conv.shape_y)[2 + axis]):
                position, tap = (place, found) if weight_grad else (found, place)
                if coordinate == conv.stride[axis] * position + distance(axis, tap):
                    return found
            return None

        return meet

    def phases(axis: int, place: int) -> list[int]:
        taps = range(conv.shape_w[2 + axis]) if weight_grad else [place]
        return [distance(axis, tap) % conv.stride[axis] for tap in taps]

    def other(n: int, c: int, k: int, place: tuple[int, int]) -> int:
        k += group * filters
        return int(conv.g[n, k, place[0], place[1]] if weight_grad else conv.w[k, c, place[0], place[1]])

    def into(n: int, c: int, k: int, result: tuple[int, int]) -> tuple[int, ...]:
        k += group * filters
        return (k, c, *result) if weight_grad else (n, k, *result)

    kernel, outputs = conv.shape_w[2:], conv.shape_y[2:]
    placed, resulting = (outputs, kernel) if weight_grad else (kernel, outputs)
    span, offsets = [], []
    for axis in (0, 1):
        low, high = distance(axis, 0), distance(axis, kernel[axis] - 1)
        last = high + conv.stride[axis] * (outputs[axis] - 1)
        span.append((
            max(conv.padding[2 * axis], -low, 0),
            max(conv.padding[2 * axis + 1], last - conv.shape_x[2 + axis] + 1, 0),
        ))  # fmt: skip
        offsets.append((high, low))
    return Job(
        image=conv.x[:, group * per_group : (group + 1) * per_group], other=other, rows=filters,
        places=(list(range(placed[0])), list(range(placed[1]))), meet=(meeting(0), meeting(1)),
        phases=conv.stride, place_phases=phases, results=(resulting[0], resulting[1]),
        span=(span[0], span[1]), offsets=(offsets[0], offsets[1]), into=into, weight_grad=weight_grad,
    )  # fmt: skip


def input_grad_job(conv: Convolution, group: int, phase: tuple[int, int]) -> Iterator[Job]:
    """One phase: positions phase + stride · u of the input gradient, each from the outputs that its taps meet."""
    filters, per_group = conv.shape_w[0] // conv.groups, conv.shape_w[1]
    taps, windows, span, offsets = [], [], [], []
    for axis in (0, 1):
        stride, size, outputs = conv.stride[axis], conv.shape_x[2 + axis], conv.shape_y[2 + axis]
        positions = range(phase[axis], size, stride)
        kept, touched = {}, []
        for tap in reversed(range(conv.shape_w[2 + axis])):
            first, rest = divmod(phase[axis] + conv.padding[2 * axis] - tap * conv.dilation[axis], stride)
            met = [first + u for u in range(len(positions))]
            if rest == 0 and any(0 <= p < outputs for p in met):
                kept[tap] = first
                touched += met
        if not kept:
            return
        taps.append(kept)
        windows.append(len(positions))
        span.append((max(0, -min(touched)), max(0, max(touched) - outputs + 1)))
        offsets.append((max(kept.values()), min(kept.values())))

    def meeting(axis: int) -> Callable[[int, int], int | None]:
        def meet(coordinate: int, tap: int) -> int | None:
            u = coordinate - taps[axis][tap]
            return u if 0 <= u < windows[axis] else None

        return meet

    yield Job(
        image=conv.g[:, group * filters : (group + 1) * filters],
        other=lambda n, k, c, place: int(conv.w[group * filters + k, c, place[0], place[1]]),
        rows=per_group, places=(list(taps[0]), list(taps[1])), meet=(meeting(0), meeting(1)),
        phases=(1, 1), place_phases=lambda axis, place: [0], results=(windows[0], windows[1]),
        span=(span[0], span[1]), offsets=(offsets[0], offsets[1]), weight_grad=False,
        into=lambda n, k, c, u: (
            n, group * per_group + c, phase[0] + u[0] * conv.stride[0], phase[1] + u[1] * conv.stride[1]
        ),
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------ execution

Queues = dict[int, deque]  # bank -> (element of the result, product), in the order of arrival


def upward(a: int, b: int) -> int:
    return -(-a // b)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """One job on grids that share the rows."""

    grids: int
    grid: tuple[int, int]
    bands: tuple[int, int]
    tile: tuple[int, int]
    block_rows: int

    def pe(self, job: Job, position: tuple[int, int]) -> tuple[int, int]:
        """Tile of a coordinate of the image, of all bands."""
        return tuple((position[axis] + job.span[axis][0]) // self.tile[axis] for axis in (0, 1))


def place_job(job: Job, machine: OuterMachine, grids: int) -> Placement | None:
    """The grid for each image where so many grids share the rows."""
    sizes = [sum(job.span[axis]) + job.image.shape[2 + axis] for axis in (0, 1)]
    best = None
    for tall in range(machine.grid[0], 0, -1):
        wide, rest = divmod(machine.pes // grids, tall)
        if rest or machine.grid[0] % tall or wide == 0 or machine.grid[1] % wide:
            continue
        area = upward(sizes[0], tall) * upward(sizes[1], wide)
        if best is None or area < best[0]:
            best = (area, (tall, wide))
    if best is None:
        return None
    grid = best[1]
    bands = [1, 1]
    if job.weight_grad:
        sums = job.results[0] * job.results[1]
    else:

        def sums_of(high: int, across: int) -> int:
            return upward(job.results[0], grid[0] * high) * upward(job.results[1], grid[1] * across)

        room = machine.entries // min(machine.minimum_rows, upward(job.rows, grids))
        while sums_of(*bands) > room and upward(job.results[0], grid[0] * bands[0]) > 1:
            bands[0] += 1
        while sums_of(*bands) > room:
            bands[1] += 1
        sums = sums_of(*bands)
    assert sums <= machine.entries
    return Placement(
        grids=grids, grid=grid, bands=(bands[0], bands[1]),
        tile=(upward(sizes[0], grid[0] * bands[0]), upward(sizes[1], grid[1] * bands[1])),
        block_rows=min(machine.entries // sums, upward(job.rows, grids)),
    )  # fmt: skip


def bank_of(row: int, result: tuple[int, int], job: Job, machine: OuterMachine) -> int:
    x, y = result
    if machine.bank_hash == "modulo":
        return ((row * job.results[0] + x) * job.results[1] + y) % machine.banks
    high = (row // 4 % 2) ^ (x // 2 % 2) ^ (y // 2 % 2)
    return (16 * high + 8 * (x % 2) + 4 * (y % 2) + row % 4) % machine.banks


def walk(first: list[int], second: list[int], machine: OuterMachine) -> Iterator[tuple[int, int]]:
    """All pairs of (height, width), the outer axis of the machine outside."""
    if machine.width_outside:
        yield from ((y, x) for x in second for y in first)
    else:
        yield from ((y, x) for y in first for x in second)


def between(places: list[int], wanted: list[int]) -> list[int]:
    """Those from the first to the last wanted one."""
    indices = [places.index(each) for each in wanted]
    return places[min(indices) : max(indices) + 1] if indices else []


def run_pe(
    job: Job, machine: OuterMachine, tile: tuple[int, int], placement: Placement,
    at: tuple[int, int], rows: range, queues: Queues, tally: Tally, everything: bool,
) -> int:  # fmt: skip
    """One channel of one image on one PE; return the cycles, in which not all products may have been added."""
    image, channel = at
    own = [
        [y for y in range(job.image.shape[2 + axis]) if (y + job.span[axis][0]) // placement.tile[axis] == tile[axis]]
        for axis in (0, 1)
    ]
    held = []
    for axis in (0, 1):
        places = job.places[axis]
        if job.weight_grad:  # the output gradient is tiled too: what the own coordinates can meet
            places = between(places, [p for p in places if any(job.meet[axis](y, p) is not None for y in own[axis])])
        held.append(places)
    cycles = 0
    for phase in walk(list(range(job.phases[0])), list(range(job.phases[1])), machine):
        mine = [[y for y in own[axis] if y % job.phases[axis] == phase[axis]] for axis in (0, 1)]
        paired = [[p for p in held[axis] if phase[axis] in job.place_phases(axis, p)] for axis in (0, 1)]
        values = deque(
            (position, int(job.image[image, channel, position[0], position[1]]))
            for position in walk(mine[0], mine[1], machine)
            if everything or job.image[image, channel, position[0], position[1]]
        )
        while values:
            group = [values.popleft() for _ in range(min(machine.image_values, len(values)))]
            places = fetched_places(job, machine, [position for position, _ in group], paired)
            others = deque(
                (place, row, job.other(image, channel, row, place))
                for place in places
                for row in rows
                if everything or job.other(image, channel, row, place)
            )
            while others:
                step = [others.popleft() for _ in range(min(machine.other_values, len(others)))]
                cycles += run_step(job, machine, at, group, step, queues, tally)
    return cycles


def fetched_places(
    job: Job, machine: OuterMachine, positions: list[tuple[int, int]], paired: list[list[int]]
) -> list[tuple[int, int]]:
    """The places that are fetched for a group of the image's values."""
    if machine.anticipate == "range":
        paired = [
            between(
                paired[axis],
                [p for p in paired[axis] if any(job.meet[axis](at[axis], p) is not None for at in positions)],
            )
            for axis in (0, 1)
        ]
    places = list(walk(paired[0], paired[1], machine))
    if machine.anticipate == "exact":
        places = [place for place in places if any(result_of(job, at, place) is not None for at in positions)]
    return places


def result_of(job: Job, position: tuple[int, int], place: tuple[int, int]) -> tuple[int, int] | None:
    first, second = (job.meet[axis](position[axis], place[axis]) for axis in (0, 1))
    return None if first is None or second is None else (first, second)


def run_step(
    job: Job, machine: OuterMachine, channel: tuple[int, int], group: list, step: list, queues: Queues, tally: Tally
) -> int:
    """Multiply each by each; then each bank adds one product a cycle, until few enough wait."""
    for position, value in group:
        for place, row, other in step:
            result = result_of(job, position, place)
            if result is None:
                tally.products += machine.anticipate != "exact"
                continue
            tally.products += 1
            tally.inside += 1
            queues[bank_of(row, result, job, machine)].append((job.into(*channel, row, result), value * other))
    cycles = 0
    while cycles == 0 or any(len(queue) > machine.bank_queue for queue in queues.values()):
        cycles += add_up(queues, tally)
    return cycles


def add_up(queues: Queues, tally: Tally) -> int:
    """One cycle of all banks."""
    for queue in queues.values():
        if queue:
            element, product = queue.popleft()
            tally.sums[element] += product
    return 1


def exchange_cycles(job: Job, machine: OuterMachine, placement: Placement, rows: int) -> int:
    """Sums that go to other PEs after a round of so many rows."""
    tiles = []
    for axis in (0, 1):
        pes = {(y + job.span[axis][0]) // placement.tile[axis] for y in range(job.image.shape[2 + axis])}
        tiles.append(len(pes))
    if job.weight_grad:
        cycles, sums = 0, rows * job.results[0] * job.results[1]
        for axis in (0, 1):
            pes = min(tiles[axis], placement.grid[axis])
            cycles += upward(sums * (pes - 1), 2 * pes * machine.link)
            sums = upward(sums, pes)
        return cycles
    edges = []
    for axis in (0, 1):
        most, least = job.offsets[axis]
        alone = tiles[axis] <= 1
        edges.append((0 if alone else max(most, 0), placement.tile[axis], 0 if alone else max(-least, 0)))
    corners = [edges[0][i] * edges[1][j] for i, j in itertools.product(range(3), range(3)) if (i, j) != (1, 1)]
    return upward(max(corners) * placement.bands[0] * placement.bands[1] * rows, machine.link)


def with_exchange(kind: str, work: int, exchange: int) -> int:
    return {"none": work, "added": work + exchange, "overlapped": max(work, exchange)}[kind]


def run_job(job: Job, machine: OuterMachine, placement: Placement, *, everything: bool) -> Tally:
    """Execute a job; `everything`: zeros are multiplied too."""
    tally = Tally()
    images, channels = job.image.shape[:2]
    at_once = placement.block_rows * placement.grids
    kind = machine.merge if job.weight_grad else machine.halo
    for first in range(0, job.rows, at_once):
        blocks = [
            range(start, min(start + placement.block_rows, job.rows))
            for start in range(first, min(first + at_once, job.rows), placement.block_rows)
        ]
        waiting: dict[tuple, Queues] = defaultdict(lambda: defaultdict(deque))
        spent: dict[tuple, dict] = defaultdict(dict)  # [image, band, channel][block, tile]
        for image in range(images):
            for band in itertools.product(range(placement.bands[0]), range(placement.bands[1])):
                corner = [band[axis] * placement.grid[axis] for axis in (0, 1)]
                tiles = [(corner[0] + y, corner[1] + x) for y, x in np.ndindex(placement.grid)]
                for channel, block, tile in itertools.product(range(channels), blocks, tiles):
                    pe = (block.start, tile)
                    queues = waiting[image, pe]
                    cycles = run_pe(job, machine, tile, placement, (image, channel), block, queues, tally, everything)
                    runs_on = machine.barrier == "round" and not job.weight_grad and channel < channels - 1
                    while not runs_on and any(queues.values()):
                        cycles += add_up(queues, tally)
                    spent[image, band, channel][pe] = cycles
        work_of, once_of = waits(spent, which=2 if job.weight_grad else 0)
        tally.working += sum(sum(each.values()) for each in spent.values())
        tally.once += sum(once_of)
        if machine.barrier == "round":
            work_of = once_of
        tally.waited += sum(work_of)
        exchange = exchange_cycles(job, machine, placement, len(blocks[0]))
        tally.cycles += sum(with_exchange(kind, work, exchange) for work in work_of)
    return tally


def waits(spent: dict[tuple, dict], which: int) -> tuple[list[int], list[int]]:
    """Cycles of each round of the columns, number `which` of the keys: PEs wait at each key, or once a band."""
    each: dict[int, int] = defaultdict(int)
    together: dict[tuple, dict] = defaultdict(lambda: defaultdict(int))
    for key, of_pe in spent.items():
        each[key[which]] += max(of_pe.values())
        for pe, cycles in of_pe.items():
            together[key[which], key[1]][pe] += cycles
    once: dict[int, int] = defaultdict(int)
    for (number, _), of_pe in together.items():
        once[number] += max(of_pe.values())
    return [each[number] for number in sorted(each)], [once[number] for number in sorted(each)]


def allowed_grids(machine: OuterMachine, job: Job) -> list[int]:
    """How many grids may share the rows, the fewest first; any number where an image has one row and meets one tap."""
    taps = job.results if job.weight_grad else tuple(map(len, job.places))
    if job.image.shape[2] == 1 and taps == (1, 1):
        return [n for n in range(1, machine.pes + 1) if machine.pes % n == 0]
    if machine.split == "columns":
        return [1]
    return [machine.pes] if machine.split == "rows" else [n for n in range(1, machine.pes + 1) if machine.pes % n == 0]


@dataclass(frozen=True, slots=True, kw_only=True)
class PassResult:
    """Cycles of a pass, with skipping and with every value present, and of the executed one what else it cost."""

    contractions: list[tuple[Tally, Tally]]  # skipping, dense
    result: np.ndarray


def run_pass(layer: OracleLayer, pass_name: str, machine: OuterMachine) -> PassResult:
    """Execute a pass; the split of each contraction is the best of the dense machine's."""
    conv = convolution_of(layer, pass_name)
    result = np.zeros(conv.result_shape, np.int64)
    found = []
    for of_group in by_contraction(conv):
        candidates = []
        for grids in allowed_grids(machine, of_group[0]):
            placements = [place_job(job, machine, grids) for job in of_group]
            if None in placements:
                continue
            dense = [
                run_job(job, machine, placement, everything=True)
                for job, placement in zip(of_group, placements, strict=True)
            ]
            candidates.append((sum(each.cycles for each in dense), placements, dense))
        _, placements, dense = min(candidates, key=lambda each: each[0])
        sparse = [
            run_job(job, machine, placement, everything=False)
            for job, placement in zip(of_group, placements, strict=True)
        ]
        for each in sparse:
            for element, value in each.sums.items():
                result[element] += value
        found.append((total(sparse), total(dense)))
    return PassResult(contractions=found, result=layer_result(layer, pass_name, result))


def by_contraction(conv: Convolution) -> list[list[Job]]:
    """The jobs of all groups of each contraction."""
    of_group = [list(jobs(replace(conv, groups=conv.groups)))]
    count = len(of_group[0]) // conv.groups
    return [of_group[0][number::count] for number in range(count)] if count else []


def total(tallies: list[Tally]) -> Tally:
    names = ("cycles", "products", "inside", "working", "waited", "once")
    return Tally(**{name: sum(getattr(each, name) for each in tallies) for name in names})


def effectual(layer: OracleLayer, pass_name: str) -> int:
    """Multiplications of two non-zeros, by the definition of the pass on ones."""
    ones = replace(
        layer, **{name: (getattr(layer, name) != 0).astype(np.int64) for name in ("input", "weight", "output_grad")},
        operands={p: {r: (t != 0).astype(np.int64) for r, t in o.items()} for p, o in layer.operands.items()},
    )  # fmt: skip
    return int(definition(ones, pass_name).sum())
