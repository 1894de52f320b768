"""Chrome trace events say what the timeline says, nest exactly, and are the same bytes every time."""

import dataclasses
import gzip
import json
import math
import random
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from timelines import CLOCK_HZ, STEP, Spans, place_passes, report_of, spans_of

from swatsim.errors import SwatsimError
from swatsim.report.timeline_checks import TimelineError, check_timeline, check_trace_events
from swatsim.report.timeline_files import RENDERERS, render_timeline, timeline_renderer
from swatsim.report.timeline_page import to_page
from swatsim.report.trace_events import to_trace_gzip, to_trace_json

THREADS = {"step": 1, "load": 2, "compute": 3, "store": 4}


def events_of(report, phase="X"):
    return [event for event in json.loads(to_trace_json(report))["traceEvents"] if event["ph"] == phase]


def on(events, thread, category):
    return [event for event in events if event["tid"] == THREADS[thread] and event["cat"] == category]


CYCLES = st.integers(0, 9)
BLOCKS = st.lists(st.tuples(CYCLES, CYCLES, CYCLES), max_size=5)
WORKS = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["forward", "update"]), BLOCKS), max_size=5)


CLOCKS = st.sampled_from([CLOCK_HZ, 1, 10**9, 1_410_000_000, 7 * 10**9])


@given(WORKS, st.integers(0, 3), st.booleans(), st.integers(0, 2), CLOCKS)
def test_every_timeline_gives_events_by_the_rules(works, latency, prefetch, held, clock_hz):
    timeline = place_passes(works, latency, prefetch, held)
    check_timeline(timeline)
    data = to_trace_json(report_of(timeline, clock_hz))
    check_trace_events(data)
    blocks = {
        (event["tid"], event["name"], event["ts"], event["ts"] + event["dur"], event["args"]["cycles"])
        for event in json.loads(data, parse_float=Decimal)["traceEvents"]
        if event.get("cat") == "block"
    }
    assert blocks == {
        (
            THREADS[engine],
            block,
            *(microseconds(placed.start_cycle + cycle, clock_hz) for cycle in span),
            length,
        )
        for placed in timeline
        for engine in ("load", "compute", "store")
        for block, span in works_of(placed, engine)
        if (length := span[1] - span[0])
    }


def works_of(placed, engine):
    """What an engine does for a pass, by the name of its slice."""
    if engine == "load":
        yield "block 0, ahead", placed.ahead
    yield from ((f"block {block}", span) for block, span in enumerate(getattr(placed.spans, engine).tolist()))


def microseconds(cycle, clock_hz=CLOCK_HZ):
    return Decimal(math.floor(Fraction(cycle * 10**9, clock_hz))) / 1000


def test_the_step_is_nested():
    timeline = place_passes(STEP)
    events = events_of(report_of(timeline))
    (step,) = on(events, "step", "step")
    assert step["args"]["start_cycle"] == 0
    assert step["args"]["cycles"] == sum(placed.cycles for placed in timeline)
    # A layer to which the step returns is a slice again, its passes that follow each other are within one.
    assert [event["name"] for event in on(events, "step", "layer")] == [
        "conv1",
        "layer1.0",
        "relu",
        "layer1.0",
        "conv1",
    ]
    assert [
        (event["name"], event["args"]["start_cycle"], event["args"]["cycles"]) for event in on(events, "step", "pass")
    ] == [(placed.pass_name, placed.start_cycle, placed.cycles) for placed in timeline]
    first = on(events, "step", "pass")[0]["args"]
    assert first["stalls"] == {cause: cycles for cause, cycles in timeline[0].stalls.items() if cycles}
    assert (first["compute_cycles"], first["stall_cycles"]) == (85, timeline[0].cycles - 85)
    assert (first["blocks"], step["args"]["blocks"]) == (3, 11)
    assert step["args"]["stall_cycles"] == sum(sum(placed.stalls.values()) for placed in timeline)


def test_what_an_engine_does_for_a_pass_is_from_its_first_to_its_last_work():
    timeline = place_passes(STEP)
    events = events_of(report_of(timeline))
    loads = on(events, "load", "pass")
    # Part of the first load of a pass is made ahead, while the pass before still runs: it is a slice of its own.
    third = timeline[2]
    assert (third.ahead, third.spans.load[0].tolist()) == ((-54, -9), [0, 19])
    assert loads[2]["args"] == {
        "start_cycle": third.start_cycle - 54, "cycles": 54 + 19, "busy_cycles": 64, "blocks": 1
    }  # fmt: skip
    names = [event["name"] for event in on(events, "load", "block")]
    assert names[3:6] == ["block 0", "block 0, ahead", "block 0"]
    assert [event["name"] for event in on(events, "store", "layer")] == ["conv1", "layer1.0", "relu", "layer1.0"]
    assert on(events, "compute", "pass")[0]["args"]["busy_cycles"] == 85
    blocks = [event["name"] for event in on(events, "compute", "block")]
    assert blocks[:3] == ["block 0", "block 1", "block 0"]  # block 2 of the first pass takes no time


def test_a_computation_that_is_held_up_is_longer_and_stalls():
    timeline = place_passes([("a", "forward", [(0, 5, 0)] * 4)], held=3)
    check_timeline(timeline)
    events = events_of(report_of(timeline))
    (busy,), (whole,) = on(events, "compute", "pass"), on(events, "step", "pass")
    assert busy["args"]["busy_cycles"] == 4 * (5 + 3)
    assert (whole["args"]["compute_cycles"], whole["args"]["stall_cycles"]) == (4 * 5, 4 * 3)


def test_the_start_of_a_block_can_be_had_back_from_its_time():
    # At a clock below 1 GHz: the time of a cycle is rounded down by less than a cycle.
    timeline = place_passes([("a", "forward", [(3, 1_000_003, 2)] * 7)])
    document = json.loads(to_trace_json(report_of(timeline)), parse_float=Decimal)
    blocks = [event for event in document["traceEvents"] if event["tid"] == 3 and event.get("cat") == "block"]
    starts = [math.ceil(Fraction(event["ts"]) * CLOCK_HZ / 10**6) for event in blocks]
    assert starts == timeline[0].spans.compute[:, 0].tolist()


def test_many_cycles_do_not_overflow():
    long = place_passes([("a", "forward", [(0, 10**12, 0)])])
    (block,) = on(events_of(report_of(long, clock_hz=1)), "compute", "block")
    assert block["dur"] == 1e18


def test_viewers_that_read_numbers_as_doubles_see_the_same_nesting():
    # Perfetto multiplies the double by 1000 and rounds to a whole number of nanoseconds.
    source = random.Random(1)
    works = [("a", "forward", [tuple(source.randrange(10**8) for _ in range(3)) for _ in range(500)])]
    data = to_trace_json(report_of(place_passes(works)))
    exact = json.loads(data, parse_float=Decimal)["traceEvents"]
    for event, rounded in zip(json.loads(data)["traceEvents"], exact, strict=True):
        for key in ("ts", "dur"):
            if key in event:
                assert round(event[key] * 1000) == rounded[key] * 1000


def test_names_of_the_process_and_of_its_threads():
    named = events_of(report_of(place_passes(STEP)), "M")
    assert [(event["name"], event["tid"], event["args"]) for event in named] == [
        ("process_name", 1, {"name": "dadiannao"}),
        ("thread_name", 1, {"name": "step"}),
        ("thread_sort_index", 1, {"sort_index": 1}),
        ("thread_name", 2, {"name": "load (dram)"}),
        ("thread_sort_index", 2, {"sort_index": 2}),
        ("thread_name", 3, {"name": "compute"}),
        ("thread_sort_index", 3, {"sort_index": 3}),
        ("thread_name", 4, {"name": "store (dram)"}),
        ("thread_sort_index", 4, {"sort_index": 4}),
    ]


def test_hostile_names_stay_text():
    name = 'a"]}\n</script>\x00\ud800é'
    data = to_trace_json(report_of(place_passes([(name, "forward", [(1, 1, 1)])]), machine=name, trace=name))
    check_trace_events(data)
    document = json.loads(data)
    assert document["otherData"]["trace"] == name
    assert {event["name"] for event in document["traceEvents"] if event.get("cat") == "layer"} == {name}


def test_the_same_timeline_gives_the_same_bytes(monkeypatch):
    report = report_of(place_passes(STEP))
    packed = to_trace_gzip(report)
    monkeypatch.setattr("time.time", lambda: 1e9)
    assert to_trace_gzip(report) == packed
    assert gzip.decompress(packed) == to_trace_json(report)


def test_a_large_timeline_stays_small():
    source = np.random.default_rng(1)
    works = [(f"layer{index}", "forward", source.integers(200, 4000, (1000, 3)).tolist()) for index in range(67)]
    report = report_of(place_passes(works))
    assert len(events_of(report)) > 200_000
    assert len(to_trace_gzip(report)) < 3_500_000


@pytest.mark.parametrize("path", ["out.txt", "out", "", "-", "out.json.gz.zip", "out.gz"])
def test_an_unknown_suffix_is_refused(path):
    with pytest.raises(SwatsimError) as caught:
        timeline_renderer(path)
    assert str(caught.value) == f"timeline: got {path!r}, expected a name that ends in .json.gz, .json or .html"


def test_each_suffix_has_its_renderer():
    report = report_of(place_passes(STEP))
    assert render_timeline(report, "a.b/out.json") == to_trace_json(report)
    assert render_timeline(report, "out.json.gz") == to_trace_gzip(report)
    assert render_timeline(report, "out.html") == to_page(report)
    assert set(RENDERERS) == {".json.gz", ".json", ".html"}


def test_a_report_without_a_timeline_is_refused():
    with pytest.raises(SwatsimError, match=r"expected that of simulate\(..., keep_timeline=True\)"):
        render_timeline(report_of(None), "out.json")


def test_an_empty_timeline_is_a_file_without_slices():
    data = to_trace_json(report_of(()))
    check_trace_events(data)
    assert events_of(report_of(())) == []


# Each rule can fail: one broken timeline, or one broken file, for each.


def broken_timeline(change):
    placed = place_passes(STEP)
    return change(list(placed))


def spans_with(placed, engine, block, span):
    changed = Spans(placed.spans.table.copy())
    getattr(changed, engine)[block] = span
    return dataclasses.replace(placed, spans=changed)


def with_first(**values):
    return lambda passes: [dataclasses.replace(passes[0], **values), *passes[1:]]


def with_span(index, engine, block, span):
    return lambda passes: [
        spans_with(placed, engine, block, span) if place == index else placed for place, placed in enumerate(passes)
    ]


def with_ahead(index, span):
    return lambda passes: [
        dataclasses.replace(placed, ahead=span) if place == index else placed for place, placed in enumerate(passes)
    ]


def with_table(change):
    """The first pass with another table of its spans."""
    return lambda passes: [dataclasses.replace(passes[0], spans=Spans(change(passes[0].spans.table)))]


BROKEN_TIMELINES = {
    "its start in cycle 1": with_first(start_cycle=1),
    "stalls: got 0 cycles in all": with_first(stalls={}),
    "dram: -1": with_first(stalls={"dram": -1}),
    "computation: got 86 cycles, expected 0 to 85": with_first(compute_cycles=86),
    "computation: got -1 cycles": with_first(compute_cycles=-1),
    "a load that ends before it starts": with_span(0, "load", 1, (20, 10)),
    "a computation before its data arrives": with_span(0, "arrived", 1, 51),
    "data that arrives before its load": with_span(0, "arrived", 1, 9),
    "a load that no block waits for": with_span(0, "load", 2, (57, 68)),
    "a store before the computation's end": with_span(0, "store", 0, (49, 57)),
    "a load before the pass": with_span(0, "load", 0, (-5, 5)),
    "a computation before the pass": with_span(1, "compute", 1, (-1, 75)),
    "conv1 forward ahead: got a load from -5 to 0, expected it within 0 to 0": with_ahead(0, (-5, 0)),
    "relu elementwise_forward ahead: got a load from -85 to 0, expected it within -84 to 0": with_ahead(2, (-85, 0)),
    "ahead: got a load from -5 to 1": with_ahead(2, (-5, 1)),
    "ahead: got a load from -5 to -6": with_ahead(2, (-5, -6)),
    "ahead: got a load for no block": with_ahead(5, (-1, 0)),
    "relu elementwise_forward block 0 load ahead: got its start in cycle 138": with_ahead(2, (-55, -9)),
    "a block that ends after the pass": with_span(0, "store", 2, (900, 907)),
    "on the same engine": with_span(0, "store", 1, (100, 109)),
    "block 1 compute": with_span(0, "compute", 1, (49, 94)),
    "spans: got float64": with_table(lambda table: table.astype(float)),
    "spans: got int64 (3, 6)": with_table(lambda table: table[:, :6]),
}


@pytest.mark.parametrize("message", BROKEN_TIMELINES)
def test_a_broken_timeline_is_refused(message):
    with pytest.raises(TimelineError) as caught:
        check_timeline(broken_timeline(BROKEN_TIMELINES[message]))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_channel_each_for_loads_and_stores_may_work_at_once():
    timeline = broken_timeline(with_ahead(1, (-7, 0)))
    with pytest.raises(TimelineError, match=r"layer1\.0 forward block 0 load ahead"):
        check_timeline(timeline)
    check_timeline(timeline, duplex="full")


def loaded_ahead(**change):
    """Two outer blocks of two inner ones; behind the load of block 1 (7-10) comes that of the second outer block."""
    spans = {
        "load": [(0, 7), (7, 14), (14, 17), (17, 20)],
        "compute": [(7, 9), (10, 12), (17, 19), (20, 22)],
        "store": [(22, 22)] * 4,
        "arrived": [7, 10, 17, 20],
    }
    arrays = {name: np.array(values, dtype=np.int64) for name, values in {**spans, **change}.items()}
    (placed,) = place_passes([("a", "forward", [(0, 2, 0)] * 4)])
    return [dataclasses.replace(placed, cycles=22, stalls={"dram": 14}, spans=spans_of(**arrays))]


def test_a_block_does_not_wait_for_what_is_loaded_for_a_later_one():
    check_timeline(loaded_ahead())
    alone = {"load": [(0, 7), (7, 14), (14, 14), (14, 14)]}
    check_timeline(loaded_ahead(**alone, arrived=[7, 10, 14, 0]))
    with pytest.raises(TimelineError, match="block 1: got a load that no block waits for"):
        check_timeline(loaded_ahead(**alone, arrived=[7, 10, 13, 0]))


def test_an_empty_transfer_may_stand_anywhere():
    check_timeline(broken_timeline(with_span(1, "load", 1, (999, 999))))
    check_timeline(broken_timeline(with_span(1, "store", 0, (-7, -7))))


def edited(old, new):
    def edit(text):
        assert text.count(old) >= 1
        return text.replace(old, new, 1)

    return edit


GOOD = to_trace_json(report_of(place_passes([("a", "forward", [(10, 20, 5)])], prefetch=False), 10**9)).decode()
BROKEN_FILES = {
    "expected JSON": lambda text: text[:-4],
    "NaN, which is no number": edited('"cycles":35', '"cycles":NaN'),
    "a key twice": edited('"ph":"M"', '"ph":"M","ph":"M"'),
    "expected an object with a list of traceEvents": lambda _: "[]",
    "displayTimeUnit": edited('"ns"', '"s"'),
    "trace event 0 name: got None": edited('"name":"process_name",', ""),
    "trace event 0 ph: got None": edited('"ph":"M",', ""),
    "trace event 0 pid: got '1'": edited('"pid":1', '"pid":"1"'),
    "trace event 0 tid: got True": edited('"tid":1', '"tid":true'),
    "trace event 0 args: got None": edited(',"args":{"name":"dadiannao"}', ""),
    "trace event 0 args.name: got 7": edited('"args":{"name":"dadiannao"}', '"args":{"name":7}'),
    "trace event 2 args.sort_index: got None": edited('{"sort_index":1}', "{}"),
    "got 'process_title'": edited("process_name", "process_title"),
    "got phase 'B'": edited('"ph":"X"', '"ph":"B"'),
    "ts: got None": edited('"ts":0.000,', ""),
    "ts: got '0.000'": edited('"ts":0.000,', '"ts":"0.000",'),
    "ts: got -0.001": edited('"ts":0.000,', '"ts":-0.001,'),
    "dur: got None": edited('"dur":0.035,', ""),
    "dur: got -0.035": edited('"dur":0.035,', '"dur":-0.035,'),
    "got 0.0355, expected whole nanoseconds": edited('"dur":0.035,', '"dur":0.0355,'),
    "got thread 9": edited('"X","pid":1,"tid":1', '"X","pid":1,"tid":9'),
    "its end at 0.036": edited('"dur":0.035,"cat":"layer"', '"dur":0.036,"cat":"layer"'),
    "metadata first": lambda text: text.replace(
        "\n]}", ',\n{"ph":"M","pid":1,"tid":1,"name":"thread_name","args":{"name":"x"}}\n]}'
    ),
    "trace event 1: got int": edited("[\n{", "[\n{"),
}
BROKEN_FILES["trace event 1: got int"] = lambda text: text.replace(',\n{"ph"', ',\n7,\n{"ph"', 1)


@pytest.mark.parametrize("message", BROKEN_FILES)
def test_a_broken_file_is_refused(message):
    check_trace_events(GOOD.encode())
    with pytest.raises(TimelineError) as caught:
        check_trace_events(BROKEN_FILES[message](GOOD).encode())
    assert message in str(caught.value)


def test_an_inner_event_before_the_outer_one_that_begins_with_it_is_refused():
    lines = GOOD.split("\n")
    step = next(index for index, line in enumerate(lines) if '"cat":"step"' in line)
    lines[step], lines[step + 1] = lines[step].replace("0.035", "0.036"), lines[step + 1]
    check_trace_events("\n".join(lines).encode())
    lines[step], lines[step + 1] = lines[step + 1], lines[step]
    with pytest.raises(TimelineError, match=r"its end at 0\.036"):
        check_trace_events("\n".join(lines).encode())
