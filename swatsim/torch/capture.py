"""Record one training step of a user's model as a trace."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from swatsim.errors import CaptureError
from swatsim.passes import call_name, called_layer
from swatsim.schemes import LayerRule
from swatsim.torch.calls import LayerCall
from swatsim.torch.forward_nodes import ForwardNode, ForwardNodes, tensors_in
from swatsim.torch.geometry import LAYERS, as_read, batched, kind_of
from swatsim.torch.graph import GraphReader, LayerEnds, ModuleEnd
from swatsim.torch.layers import SparseLayer
from swatsim.torch.recorder import ACTIVE
from swatsim.trace import TraceMetadata, TraceWriter

# They multiply weights too, and a trace without their work would be taken for the whole step.
_UNHELD = (nn.Conv3d, nn.ConvTranspose3d, nn.Bilinear, nn.RNNBase, nn.RNNCellBase)


class capture:  # noqa: N801  read as a verb, like torch's own context managers
    """Around one training step: forward, backward and, if you like, the optimiser's step.

        with swatsim.torch.capture(model, "traces/mine"):
            loss_function(model(images), labels).backward()
            optimizer.step()

    Every Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d and Linear that the step calls becomes a layer, with the
    operands that its three passes really multiplied; called again, it is another layer, `name:2` and so on. Where a
    weight is frozen, or an output does not reach the loss, passes that nobody needs are not in the step. The trace
    appears at `path` when the block ends well.

    Parameters
    ----------
    name : the trace's name; by default the path's last part.
    network : what the network is called; by default the model's class.
    provenance : anything worth keeping: step, data set, accuracy.
    overwrite : replace a trace that is there.

    Raises
    ------
    CaptureError : the step does what one trace cannot hold; the message names the module and the reason.
    TraceError : the trace cannot be written.
    """

    def __init__(
        self,
        model: nn.Module,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        network: str | None = None,
        provenance: Mapping[str, str] | None = None,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        self.name = self.path.name if name is None else name
        self.network = type(model).__name__ if network is None else network
        self.provenance = {**(provenance or {}), "torch": torch.__version__}
        self.overwrite = overwrite
        self._model = model
        self._names: dict[nn.Module, str] = {
            module: name or kind_of(module) for name, module in model.named_modules() if isinstance(module, LAYERS)
        }
        self._calls: list[LayerCall] = []
        self._open: dict[nn.Module, LayerCall] = {}  # begun by a sparse layer, before its module's hook
        self._made_by: dict[Any, ModuleEnd] = {}
        self._ends: list[Any] = []
        self._optimizer = ""
        self._handles: list[Any] = []
        self._learned: set[Tensor] = set()  # weights of layers that have had a gradient
        self._read: set[Tensor] = set()  # parameters of modules that were called
        self._any_frozen = False
        self._frozen = ForwardNodes()
        self._watching = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._check()
        self._handles.append(register_optimizer_step_post_hook(self._on_optimizer_step))
        for name, module in self._model.named_modules():
            if isinstance(module, LAYERS):
                self._handles.append(module.register_forward_hook(self._on_layer, with_kwargs=True))
                self._watch_weight(module)
            elif not any(module.children()):
                self._handles.append(module.register_forward_hook(self._on_module(name)))
        self._handles.append(self._model.register_forward_hook(self._on_model))
        self._any_frozen = not all(cast(Tensor, module.weight).requires_grad for module in self._names)
        if self._any_frozen:
            self._watching.enter_context(self._frozen)
        ACTIVE.recorder = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        ACTIVE.recorder = None
        self._watching.close()
        for handle in self._handles:
            handle.remove()
        try:
            if error is None:
                self._write()
        finally:
            self._calls, self._open, self._made_by, self._ends, self._handles = [], {}, {}, [], []
            self._learned, self._read, self._frozen = set(), set(), ForwardNodes()

    def _check(self) -> None:
        if ACTIVE.recorder is not None:
            raise CaptureError("capture: got a capture within a capture, expected one at a time")
        if type(self._model).__name__ == "OptimizedModule":
            raise CaptureError("capture: got a model from torch.compile, expected the model that was compiled")
        if not self._names:
            raise CaptureError(f"capture: got {self.network} without any convolution or linear layer, expected one")
        for module, name in self._names.items():
            if isinstance(module, nn.modules.lazy.LazyModuleMixin):
                raise CaptureError(f"{name}: got a lazy layer, expected one with its weights (run the model once)")
            if called_layer(name) != name:
                raise CaptureError(f"{name}: got a layer of this name, expected none that ends as second calls do")
        if self.path.exists() and not self.overwrite:
            raise CaptureError(f"{self.path}: exists already, expected a new path (or overwrite=True)")

    # What sparse layers report.

    def open_call(self, module: nn.Module) -> LayerCall:
        """A sparse layer begins a forward call."""
        call = LayerCall(name=self._names.get(module, "a layer outside of the model"), module=module)
        self._open[module] = call
        return call

    def operands(
        self,
        call: object,
        pass_name: str,
        rule: LayerRule,
        tensors: Mapping[str, Tensor],
        result_mask: Tensor | None = None,
    ) -> None:
        """A sparse layer is about to multiply these, for these entries of the result."""
        recorded = cast(LayerCall, call)
        recorded.record(pass_name, dict(tensors), rule, result_mask)

    # What hooks see.

    def _on_layer(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        name = self._names[module]
        input: Tensor = args[0] if args else kwargs["input"]
        sparse = isinstance(module, SparseLayer)
        call = self._open.pop(module) if sparse else LayerCall(name=name, module=module)
        call.learns, call.needs_input_grad = cast(Tensor, module.weight).requires_grad, input.requires_grad
        _check_learns(call, output)
        if output.grad_fn is None and not self._any_frozen:
            raise CaptureError(f"{name}: its weight was frozen within the step, expected it frozen before")
        if not sparse:
            call.record("forward", {"input": as_read(module, _cast(input)), "weight": _cast(module.weight)}, None)
        earlier = [each for each in self._calls if each.module is module]
        if earlier and torch._C._current_graph_task_id() != -1:
            _check_recomputed(earlier, call, output)
            return
        if any(each.output_grads for each in earlier):
            raise CaptureError(
                f"{name}: called again after its backward (gradient accumulation), expected one backward"
            )
        call.name = call_name(name, 1 + len(earlier))
        shape = tuple(batched(module, output).shape)
        call.ends = LayerEnds(
            name=call.name, kind=kind_of(module), input_node=self._node(input),
            input_shape=tuple(batched(module, input).shape), output_shape=shape,
            output_node=output.grad_fn or self._frozen.made(call.name, output, shape),
        )  # fmt: skip
        self._calls.append(call)
        self._read.add(cast(Tensor, module.weight))
        if output.grad_fn is not None:
            output.grad_fn.register_prehook(_on_output_grad(call, sparse))

    def _node(self, tensor: Tensor) -> Any | None:
        return tensor.grad_fn or self._frozen.of(tensor)

    def _on_module(self, name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if isinstance(module, _UNHELD):
                raise CaptureError(f"{name}: got {type(module).__name__}, whose products a trace cannot hold")
            self._read.update(module.parameters(recurse=False))
            node = self._node(output) if isinstance(output, Tensor) else None
            if node is not None:
                shape = tuple(args[0].shape) if args and isinstance(args[0], Tensor) else tuple(output.shape)
                self._made_by.setdefault(node, ModuleEnd(name=name, input_shape=shape))

        return hook

    def _on_model(self, _: nn.Module, args: object, output: Any) -> None:
        self._ends += [node for tensor in tensors_in(output) if (node := self._node(tensor)) is not None]

    def _on_optimizer_step(self, optimizer: torch.optim.Optimizer, *_: object) -> None:
        settings = {key: value for key, value in optimizer.defaults.items() if isinstance(value, (int, float))}
        settings["lr"] = optimizer.param_groups[0]["lr"]
        described = ", ".join(f"{key}={value:g}" for key, value in sorted(settings.items()) if value)
        self._optimizer = f"{type(optimizer).__name__}({described})"

    def _watch_weight(self, module: nn.Module) -> None:
        """Notice whether the weight has a gradient: without a call, or in a call but not at all."""
        weight = module.weight
        if isinstance(weight, Tensor) and weight.requires_grad and weight.is_leaf:
            register: Any = weight.register_hook
            self._handles.append(register(lambda _: self._learned.add(weight)))

    # The end of the block.

    def _write(self) -> None:
        for module, name in self._names.items():
            # Attention multiplies its layers' weights without calling them.
            if module.weight in self._learned - self._read:
                raise CaptureError(f"{name}: its weight was multiplied outside of its own forward, expected it called")
        if not self._calls:
            raise CaptureError(f"{self.path}: got a step that calls no layer of the model, expected a training step")
        if not any(call.output_grads for call in self._calls):
            name = self._calls[0].name
            raise CaptureError(f"{name}: its output did not reach the loss in backward, nor did any other layer's")
        ends = [call.ends for call in self._calls if call.ends is not None]
        reader = GraphReader(ends, self._made_by, self._frozen.beside)
        graph = reader.read([*self._ends, *(end.output_node for end in ends)])
        with TraceWriter(self.path, metadata=self._metadata(), overwrite=self.overwrite) as writer:
            for call in self._calls:
                layer, weight = call.layer(), cast(Tensor, call.module.weight)
                if call.output_grads and call.learns and weight.is_leaf and weight not in self._learned:
                    raise CaptureError(f"{call.name}: backward computed no weight_grad, expected it in a training step")
                writer.add(layer)
            writer.set_graph(graph)

    def _metadata(self) -> TraceMetadata:
        sparse = [call.module for call in self._calls if isinstance(call.module, SparseLayer)]
        sparsifier = sparse[0].swatsim_sparsifier if sparse else None
        return TraceMetadata(
            name=self.name,
            network=self.network,
            scheme="dense" if sparsifier is None else sparsifier.scheme.label,
            sparsity=None if sparsifier is None else sparsifier.scheme.sparsity,
            selection_period=None if sparsifier is None else sparsifier.scheme.period,
            optimizer=self._optimizer,
            provenance=self.provenance,
        )


def _check_learns(call: LayerCall, output: Any) -> None:
    if not isinstance(output, Tensor):
        raise CaptureError(f"{call.name}: got {type(output).__name__} for its output, expected one tensor")
    if call.learns and not torch.is_grad_enabled():
        raise CaptureError(
            f"{call.name}: called without gradients (no_grad, or checkpointing with use_reentrant=True), "
            "expected a training step"
        )
    if call.learns and output.grad_fn is None:
        raise CaptureError(f"{call.name}: its output has no gradient, expected one tensor that learns")


def _check_recomputed(earlier: list[LayerCall], again: LayerCall, output: Tensor) -> None:
    # Activation checkpointing calls a layer again, inside backward, to have its saved tensors back.
    first = next((call for call in earlier if call.same_operands(again)), None)
    if first is None:
        raise CaptureError(f"{earlier[0].name}: recomputed with other values in backward, expected the same ones")
    if output.grad_fn is not None and isinstance(cast(LayerEnds, first.ends).output_node, ForwardNode):
        raise CaptureError(f"{first.name}: has gradients only where it is recomputed (use_reentrant=True)")


def _on_output_grad(call: LayerCall, sparse: bool) -> Any:
    def hook(grads: tuple[Tensor | None, ...]) -> None:
        grad = grads[0]
        if grad is None:
            return
        call.output_grads += 1
        if call.output_grads > 1:
            raise CaptureError(f"{call.name}: backward reached it twice, expected one backward in the step")
        if grad.requires_grad:
            raise CaptureError(f"{call.name}: its gradient is differentiated again, expected one backward")
        if not sparse:  # a sparse layer reports what it really multiplies
            call.record_backward(batched(call.module, grad))

    return hook


def _cast(values: Any) -> Tensor:
    """What autocast multiplies: float16 turns the smallest values into zeros. It leaves float64 alone."""
    tensor = cast(Tensor, values)
    device = tensor.device.type
    casts = torch.is_autocast_enabled(device) and tensor.dtype != torch.float64
    return tensor.to(torch.get_autocast_dtype(device)) if casts else tensor
