"""A training step on a memory that holds bytes: every row reads what is there, and writes what is not.

Written from docs/training_step.md, with real arrays and the encoders of twins_formats; it shares nothing with swatsim.
`Step.rows` are {(name, pass): {"read": {tensor: bytes}, "write": ...}}. To read what nobody has written, or to write
it twice, is an error.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from typing import NamedTuple

import twins_formats

FUSED = ("relu", "dropout", "other:Threshold")
VIEWS = ("flatten", "other:View")
PARAMETERS = ("batch_norm", "layer_norm")
KEEPS_NOTHING = ("max_pool", "avg_pool", "add", "concatenate", *FUSED)
LAYERS = ("conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "linear")
ROLES = {
    "input": (("forward", "input"), ("weight_grad", "input")),
    "weight": (("forward", "weight"), ("input_grad", "weight")),
    "output": (("input_grad", "output_grad"), ("weight_grad", "output_grad")),
}


def matrices(layer, pass_name, role, bits, columns_first):
    """(kind, pieces): an operand's pieces as nested lists, in the order in which a pass reads them."""
    spec = layer.spec
    if spec.kind.startswith("conv_transpose"):
        # E reads its output gradient where this layer reads its input.
        pass_name = {"forward": "input_grad", "input_grad": "forward"}.get(pass_name, pass_name)
        role = {"input": "output_grad", "output_grad": "input"}.get(role, role)
    groups = spec.groups
    if role == "weight":
        filters, channels = bits.shape[:2]
        taps = bits.reshape(filters, channels, -1)
        if pass_name == "forward":
            return "filters", [[list(taps[k, :, t]) for t in range(taps.shape[2])] for k in range(filters)]
        each = filters // groups
        return "input channels", [
            [list(taps[g * each : (g + 1) * each, c, t]) for t in range(taps.shape[2])]
            for g in range(groups)
            for c in range(channels)
        ]
    if spec.kind == "linear":
        bits = bits.reshape(-1, bits.shape[-1]).T[None, :, None, :]
    elif bits.ndim == 3:
        bits = bits[:, :, None, :]
    images, channels, height, width = bits.shape
    if pass_name == "weight_grad":
        return "channels", [
            [list(bits[n, c, h]) for n in range(images) for h in range(height)] for c in range(channels)
        ]
    each = channels // groups
    pieces = []
    for n, g in itertools.product(range(images), range(groups)):
        part = bits[n, g * each : (g + 1) * each]
        if columns_first:
            pieces += [[list(part[:, h, w]) for h in range(height)] for w in range(width)]
        else:
            pieces += [[list(part[:, h, w]) for w in range(width)] for h in range(height)]
    return "image lines", pieces


def stored(pieces, name, value_bytes):
    total = 0
    for piece in pieces:
        values = [[int(value) for value in row] for row in piece]
        total += len(twins_formats.encode(name, values, len(piece), len(piece[0]), value_bytes)) // 8
    return total


class Copy(NamedTuple):
    """What a pass of a layer reads of an operand."""

    layer: str
    key: object  # "dense", or the same for copies that are the same bytes
    size: int
    values: int
    bits: object  # the same where the same values are present
    selected: bool

    @property
    def whole(self):
        return self.key == "dense" or not self.selected


def encoded(layer, pass_name, role, operand, settings):
    """The copy that a pass reads, written down bit by bit; `operand` is (array of bool, sparsity)."""
    bits, sparsity = operand
    usual = "dense" if bits.all() else settings["format"]
    name = settings["formats"].get(role.removesuffix("_grad"), usual)
    if name == "dense":
        key, size = "dense", bits.size * settings["value_bytes"]
    else:
        kind, pieces = matrices(layer, pass_name, role, bits, settings["window_order"] == "nqp")
        key = (name, kind, len(pieces), len(pieces[0]), len(pieces[0][0]), bits.tobytes())
        size = stored(pieces, name, settings["value_bytes"])
    return Copy(layer.spec.name, key, size, bits.size, bits.tobytes(), bool(sparsity))


class Step:
    """Carries a step out; `dense` on the machine that stores everything dense."""

    def __init__(self, specs, copies, graph, settings, *, dense=False):
        """`copies`: (layer, pass, role) -> Copy; `graph`: nodes, or nothing; `settings`: the machine's numbers."""
        self.settings, self.dense_machine, self.copies = settings, dense, copies
        self.specs = {spec.name: spec for spec in specs}
        self.rows = defaultdict(lambda: {"read": defaultdict(int), "write": defaultdict(int)})
        self.memory = {}  # (tensor, copy) -> bytes
        self.found = {}  # gradients of each node
        self.known = bool(graph)
        self._read_graph(graph or None)
        self._weights_of_the_step_before()
        self._forward()
        self._backward()
        self._updates()
        assert not self.dense_machine or all(copy == "dense" for _, copy in self.memory)
        self.rows = {
            key: row for key, row in self.rows.items() if any(row["read"].values()) or any(row["write"].values())
        }

    # ------------------------------------------------------------------------------------------------ the memory

    def put(self, row, label, tensor, copy, size):
        assert (tensor, copy) not in self.memory, f"{row} writes {tensor} again"
        self.memory[tensor, copy] = size
        if row is not None:
            self.rows[row]["write"][label] += size

    def get(self, row, label, tensor, copy="dense", times=1):
        size = self.memory[tensor, copy]  # KeyError: nobody has written it
        if row is not None:
            self.rows[row]["read"][label] += times * size
        return size

    def values(self, tensor):
        return self.sizes[tensor]

    def put_dense(self, row, label, tensor):
        self.put(row, label, tensor, "dense", self.values(tensor) * self.settings["value_bytes"])

    # ------------------------------------------------------------------------------------------------- the graph

    def _read_graph(self, graph):
        self.sizes = {}
        self.ops, self.inputs, self.shape = {}, {}, {}
        seen = {}
        for node in graph if graph is not None else self._loose():
            before = []
            for name in node.inputs:
                if seen[name] not in before:
                    before.append(seen[name])
            seen[node.name] = node.name
            if node.op in VIEWS and len(before) == 1:
                seen[node.name] = before[0]
                continue
            self.ops[node.name], self.inputs[node.name] = node.op, before
            self.shape[node.name] = node.shape
            self.sizes["value", node.name] = math.prod(node.shape)
        self.order = list(self.ops)
        self.head = {}
        for name in self.order:
            if self.ops[name] in LAYERS or self.ops[name] == "input":
                continue
            before = self.inputs[name]
            joins = self.ops[name] in FUSED and len(before) == 1 and before[0] in self.head
            self.head[name] = self.head[before[0]] if joins else name
        self.members = {head: [n for n in self.order if self.head.get(n) == head] for head in set(self.head.values())}
        self.learns = {}
        for name in self.order:
            if self.ops[name] in LAYERS:
                # A layer with a frozen weight has a gradient only for the sake of what is before it.
                self.learns[name] = self.computes(name, "weight_grad") or self.computes(name, "input_grad")
                continue
            own = self.ops[name] in PARAMETERS
            self.learns[name] = own or any(self.learns[before] for before in self.inputs[name])

    def computes(self, name, pass_name):
        return any(key[:2] == (name, pass_name) for key in self.copies)

    def _loose(self):
        class Node:
            pass

        for name, spec in self.specs.items():
            node = Node()
            node.name, node.op, node.inputs, node.shape = name, spec.kind, (), spec.output_shape
            yield node

    def readers(self, name):
        return [other for other in self.order if name in self.inputs[other]]

    def outside_readers(self, name):
        """Who reads a result through memory: layers, and nodes of other groups."""
        return [
            other for other in self.readers(name) if name not in self.head or self.head.get(other) != self.head[name]
        ]

    def parameters(self, name):
        if self.ops[name] not in PARAMETERS:
            return 0
        return 2 * (self.shape[name][-1] if self.ops[name] == "layer_norm" else self.shape[name][1])

    def masks(self, name):
        bits = {"max_pool": 8}.get(self.ops[name], 1 if self.ops[name] in FUSED else 0)
        return math.ceil(math.prod(self.shape[name]) * bits / 8)

    # ---------------------------------------------------------------------------------------- copies of a tensor

    def wanted(self, role, layers):
        """Different first copies, and different second ones besides; each belongs to the layer that needs it first."""
        firsts, seconds, users = [], [], {}
        for layer in layers:
            mine = [self.copies[layer, *reader] for reader in ROLES[role] if (layer, *reader) in self.copies]
            mine = [copy._replace(layer=users.setdefault(copy.key, layer)) for copy in mine]
            firsts.append(mine[0])
            seconds += mine[1:]
        return distinct(firsts), [
            copy for copy in distinct(seconds) if copy.key not in [f.key for f in distinct(firsts)]
        ]

    def make(self, row, label, tensor, role, layers, *, streamed):
        """A stream makes a tensor that the layers read, and perhaps others, dense."""
        if not layers and not streamed:
            return
        if self.dense_machine:
            self.put_dense(row, label, tensor)
            return
        firsts, seconds = self.wanted(role, layers)
        packed = [copy for copy in firsts if copy.key != "dense"]
        for copy in packed:
            self.put(row, label, tensor, copy.key, copy.size)
        have = [(copy.size, copy.bits, copy.whole) for copy in packed]
        if role == "weight":
            have.append((self.values(tensor) * self.settings["state_bytes"], None, True))
        read_dense = streamed or any(copy.key == "dense" for copy in firsts + seconds)
        seconds = [copy for copy in seconds if copy.key != "dense"]
        if read_dense or any(not any(enough(each, copy) for each in have) for copy in seconds):
            self.put_dense(row, label, tensor)
            have.append((self.memory[tensor, "dense"], None, True))
        self._search(tensor, role, layers, have)
        self._reorder(tensor, role, seconds, have)

    def convert(self, tensor, role, layers):
        """A tensor that lies dense is copied for the layers that read it."""
        if self.dense_machine or not layers:
            return
        firsts, seconds = self.wanted(role, layers)
        have = [(self.get(None, role, tensor), None, True)]
        self._search(tensor, role, layers, have)
        self._reorder(tensor, role, [copy for copy in [*firsts, *seconds] if copy.key != "dense"], have)

    def _reorder(self, tensor, role, copies, have):
        for copy in copies:
            row = (f"{copy.layer}:{role}", "reorder")
            self.rows[row]["read"][role] += min(each[0] for each in have if enough(each, copy))
            self.put(row, role, tensor, copy.key, copy.size)
            have.append((copy.size, copy.bits, copy.whole))

    def _search(self, tensor, role, layers, have):
        chosen = [n for n in layers for reader in ROLES[role] if self.reads_selected(n, *reader)]
        times, period = self.settings["select_reads"], self.settings["period"]
        if not chosen or not times:
            return
        row = (f"{chosen[0]}:{role}", "select")
        sizes = [size for size, _, whole in have if whole]
        if not sizes:
            sizes = [self.values(tensor) * self.settings["value_bytes"]]
            self.rows[row]["write"][role] += math.ceil(sizes[0] / period)
        self.rows[row]["read"][role] += math.ceil(times * min(sizes) / period)

    def reads_selected(self, *operand):
        return operand in self.copies and self.copies[operand].selected

    # -------------------------------------------------------------------------------------------------- the step

    def _weights_of_the_step_before(self):
        for name, spec in self.specs.items():
            self.sizes["weight", name] = math.prod(spec.weight_shape)
            self.sizes["weight gradient", name] = self.sizes["weight", name]
            self.sizes["from outside", name] = math.prod(spec.input_shape)

    def operand(self, layer, pass_name, role, tensor):
        """A pass reads an operand: the copy that it reads is there, whole and as large as it says."""
        copy = self.copies[layer, pass_name, role]
        key = "dense" if self.dense_machine else copy.key
        size = self.memory[tensor, key]
        assert size == (copy.values * self.settings["value_bytes"] if self.dense_machine else copy.size)

    def _forward(self):
        for name in self.order:
            op = self.ops[name]
            if op == "input":
                self.put_dense(None, "", ("value", name))
                self.convert(("value", name), "input", self._layers(self.readers(name)))
            elif op in LAYERS:
                source = ("value", self.inputs[name][0]) if self.inputs[name] else ("from outside", name)
                if not self.inputs[name]:
                    if self.known:
                        self.put_dense(None, "", source)
                        self.convert(source, "input", [name])
                    else:
                        self._unknown_maker(source, "input", [name])
                self.operand(name, "forward", "input", source)
                self.put_dense(None, "", ("value", name))
                self.convert(("value", name), "input", self._layers(self.readers(name)))
            elif self.head[name] == name:
                self._group_forward(name)

    def _unknown_maker(self, tensor, role, layers):
        before = dict(self.rows)
        self.make(("nobody", ""), "", tensor, role, layers, streamed=False)
        self.rows.pop(("nobody", ""), None)
        assert set(before) <= set(self.rows)

    def _layers(self, names):
        return [name for name in names if self.ops[name] in LAYERS]

    def _group_forward(self, head):
        row = (head, "elementwise_forward")
        for before in self.inputs[head]:
            times = 2 if self.ops[head] == "batch_norm" and self.ops[before] == "input" else 1
            self.get(row, "input", ("value", before), times=times)
        for name in self.members[head]:
            self.rows[row]["read"]["weight"] += self.parameters(name) * self.settings["value_bytes"]
            others = self.outside_readers(name)
            streams = len(self._layers(others)) < len(others) or not self.readers(name)
            self.make(row, "output", ("value", name), "input", self._layers(others), streamed=streams)
            if self._back(head):
                self.put(row, "state", ("mask", name), "dense", self.masks(name))

    # ------------------------------------------------------------------------------------------------- gradients

    def gradients(self, name):
        """The tensors whose sum is the gradient of a node's result, without those that stay in its group."""
        if name not in self.found:
            self.found[name] = self._gradients(name)
        return self.found[name]

    def _gradients(self, name):
        if not self.readers(name):
            return [("loss", name)]
        found = []
        for reader in self.readers(name):
            if self.ops[reader] in LAYERS:
                if self.computes(reader, "input_grad"):
                    found.append(("input_grad", reader))
            elif self.head[reader] != self.head.get(name) and self._back(self.head[reader]):
                found.append(self._given(reader, name))
        return found

    def _back(self, head):
        return self.learns[head] and any(self.gradients(name) for name in self.members[head])

    def _lets_pass(self, name):
        return self.ops[name] == "add" and self.members[name] == [name] and len(self.gradients(name)) == 1

    def _given(self, head, name):
        """The tensor that a group gives for its input `name`."""
        if self._lets_pass(head):
            return self.gradients(head)[0]
        return ("given", head) if self.ops[head] == "add" else ("given", head, name)

    def _users(self, tensor):
        """Layers that multiply a gradient as it is, the last of the network first, and whether others read it."""
        layers = [
            n for n in reversed(self.order)
            if self.ops[n] in LAYERS and self.learns[n] and self.gradients(n) == [tensor]
        ]  # fmt: skip
        others = False
        for name in self.order:
            if not self.learns[name] or tensor not in self.gradients(name) or name in layers:
                continue
            if self.ops[name] in LAYERS or self.head[name] != name or not self._lets_pass(name):
                others = True
        return layers, others

    def _backward(self):
        for name in reversed(self.order):
            if not self.readers(name):
                self._lies_dense(("loss", name), name)
            if self.ops[name] in LAYERS and self.learns[name]:
                self._layer_backward(name)
            elif self.head.get(name) == name and self._back(name) and not self._lets_pass(name):
                self._group_backward(name)

    def _lies_dense(self, tensor, shaped_as):
        self.sizes[tensor] = self.sizes["value", shaped_as]
        if self.known:
            self.put_dense(None, "", tensor)
            self.convert(tensor, "output", self._users(tensor)[0])
        else:
            self._unknown_maker(tensor, "output", self._users(tensor)[0])

    def _layer_backward(self, name):
        found = self.gradients(name)
        tensor = found[0] if found else ("unknown", name)
        if not found:
            self.sizes[tensor] = self.sizes["value", name]
            self.put_dense(None, "", tensor)
            self.convert(tensor, "output", [name])
        elif len(found) > 1:
            row, tensor = (name, "elementwise_backward"), ("sum", name)
            for each in found:
                self.get(row, "output", each)
            self.sizes[tensor] = self.sizes["value", name]
            self.make(row, "output", tensor, "output", [name], streamed=False)
        source = ("value", self.inputs[name][0]) if self.inputs[name] else ("from outside", name)
        if self.computes(name, "weight_grad"):
            self.operand(name, "weight_grad", "output_grad", tensor)
            self.operand(name, "weight_grad", "input", source)
            self.put_dense(None, "", ("weight gradient", name))
        if self.computes(name, "input_grad"):
            self.operand(name, "input_grad", "output_grad", tensor)
            made = ("input_grad", name)
            if self.inputs[name] and self.learns[self.inputs[name][0]]:
                self._lies_dense(made, self.inputs[name][0])

    def _group_backward(self, head):
        row, members = (head, "elementwise_backward"), self.members[head]
        learning = [before for before in self.inputs[head] if self.learns[before]]
        found = [tensor for name in members for tensor in self.gradients(name)]
        sums = self.ops[head] == "batch_norm" and learning
        times = 2 if sums and len(found) == 1 else 1
        for tensor in found:
            self.get(row, "output", tensor, times=times)
        if sums and len(found) > 1:
            self.sizes["inner sum", head] = self.sizes["value", head]
            self.put_dense(row, "output", ("inner sum", head))
            self.get(row, "output", ("inner sum", head))
        for name in members:
            self.get(row, "state", ("mask", name), times=times)
            if self.ops[name] not in KEEPS_NOTHING:
                for before in self.inputs[name]:
                    self.get(row, "input", ("value", before), times=2 if sums else 1)
            width = self.parameters(name) * self.settings["value_bytes"]
            self.rows[row]["read"]["weight"] += width
            self.put(row, "weight", ("parameter gradient", name), "dense", width)
        for tensor in dict.fromkeys(self._given(head, before) for before in learning):
            shaped_as = head if self.ops[head] == "add" else tensor[2]
            self.sizes[tensor] = self.sizes["value", shaped_as]
            layers, others = self._users(tensor)
            self.make(row, "input", tensor, "output", layers, streamed=others)

    def _updates(self):
        each = (1 + self.settings["states"]) * self.settings["state_bytes"]
        for name in self.specs:
            if name.endswith(":2"):
                continue  # the second call of a layer, with its weight
            row, tensor = (name, "update"), ("weight", name)
            calls = [call for call in (name, f"{name}:2") if call in self.specs]
            learning = [call for call in calls if self.computes(call, "weight_grad")]
            if not learning:
                continue  # frozen
            for call in learning:
                self.get(row, "weight", ("weight gradient", call))
            self.rows[row]["read"]["state"] += self.values(tensor) * each
            self.rows[row]["write"]["state"] += self.values(tensor) * each
            self.make(row, "weight", tensor, "weight", calls, streamed=False)
            # The next step finds what its passes read.
            for call, pass_name in itertools.product(calls, ("forward", "input_grad")):
                if (call, pass_name, "weight") in self.copies:
                    self.operand(call, pass_name, "weight", tensor)
        for head in self.members:
            for name in self.members[head] if self._back(head) else []:
                width, row = self.parameters(name), (name, "update")
                if width:
                    self.get(row, "weight", ("parameter gradient", name))
                    self.rows[row]["read"]["state"] += width * each
                    self.rows[row]["write"]["state"] += width * each
                    self.put(row, "weight", ("parameters", name), "dense", width * self.settings["value_bytes"])


def enough(have, copy):
    """Whether a copy can be made of what is there: (size, bits, whether no selection has dropped anything)."""
    _, bits, whole = have
    return whole or bits == copy.bits


def distinct(copies):
    found = {}
    for copy in copies:
        found.setdefault(copy.key, copy)
    return list(found.values())
