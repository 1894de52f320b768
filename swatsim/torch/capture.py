"""Record one training step of a user's model as a trace."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from swatsim.errors import CaptureError
from swatsim.schemes import LayerRule
from swatsim.torch.calls import LayerCall
from swatsim.torch.geometry import LAYERS, kind_of, padding_of
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
    operands that its three passes really multiplied. The trace appears at `path` when the block ends well.

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
        self._calls: dict[nn.Module, LayerCall] = {}
        self._open: dict[nn.Module, LayerCall] = {}  # begun by a sparse layer, before its module's hook
        self._made_by: dict[Any, ModuleEnd] = {}
        self._ends: list[Any] = []
        self._optimizer = ""
        self._handles: list[Any] = []
        self._learned: set[nn.Module] = set()  # whose weight has had a gradient

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
        ACTIVE.recorder = self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        ACTIVE.recorder = None
        for handle in self._handles:
            handle.remove()
        try:
            if error is None:
                self._write()
        finally:
            self._calls, self._open, self._made_by, self._ends, self._handles = {}, {}, {}, [], []

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
        _check_learns(call, output)
        call.needs_input_grad = input.requires_grad
        if not sparse:
            call.record("forward", {"input": _as_read(module, input), "weight": _cast(module.weight)}, None)
        if module in self._calls:
            self._check_recomputed(self._calls[module], call)
            return
        call.ends = LayerEnds(
            name=name, kind=kind_of(module), input_node=input.grad_fn, input_shape=tuple(_batched(module, input).shape),
            output_node=output.grad_fn, output_shape=tuple(_batched(module, output).shape),
        )  # fmt: skip
        self._calls[module] = call
        output.grad_fn.register_prehook(_on_output_grad(call, sparse))

    def _check_recomputed(self, first: LayerCall, again: LayerCall) -> None:
        # Activation checkpointing calls a layer again, inside backward, to have its saved tensors back.
        in_backward = torch._C._current_graph_task_id() != -1
        if not in_backward:
            raise CaptureError(
                f"{first.name}: called twice in the step (gradient accumulation, or a module used twice), expected once"
            )
        if not first.same_operands(again):
            raise CaptureError(f"{first.name}: recomputed with other values in backward, expected the same ones")

    def _on_module(self, name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if isinstance(module, _UNHELD):
                raise CaptureError(f"{name}: got {type(module).__name__}, whose products a trace cannot hold")
            if isinstance(output, Tensor) and output.grad_fn is not None:
                shape = tuple(args[0].shape) if args and isinstance(args[0], Tensor) else tuple(output.shape)
                self._made_by.setdefault(output.grad_fn, ModuleEnd(name=name, input_shape=shape))

        return hook

    def _on_model(self, _: nn.Module, args: object, output: Any) -> None:
        self._ends += [tensor.grad_fn for tensor in _tensors(output) if tensor.grad_fn is not None]

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
            self._handles.append(register(lambda _: self._learned.add(module)))

    # The end of the block.

    def _write(self) -> None:
        for module, name in self._names.items():
            # Attention multiplies its layers' weights without calling them.
            if module in self._learned and module not in self._calls:
                raise CaptureError(f"{name}: its weight was multiplied outside of its own forward, expected it called")
        if not self._calls:
            raise CaptureError(f"{self.path}: got a step that calls no layer of the model, expected a training step")
        ends = [call.ends for call in self._calls.values() if call.ends is not None]
        reader = GraphReader(ends, self._made_by)
        graph = reader.read([*self._ends, *(end.output_node for end in ends)])
        with TraceWriter(self.path, metadata=self._metadata(), overwrite=self.overwrite) as writer:
            for module, call in self._calls.items():
                layer = call.layer()
                if cast(Tensor, module.weight).is_leaf and module not in self._learned:
                    raise CaptureError(f"{call.name}: backward computed no weight_grad, expected it in a training step")
                writer.add(layer)
            writer.set_graph(graph)

    def _metadata(self) -> TraceMetadata:
        sparse = [module for module in self._calls if isinstance(module, SparseLayer)]
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
    weight = cast(Tensor, call.module.weight)
    if not torch.is_grad_enabled():
        raise CaptureError(
            f"{call.name}: called without gradients (no_grad, or checkpointing with use_reentrant=True), "
            "expected a training step"
        )
    if not weight.requires_grad:
        raise CaptureError(f"{call.name}: its weight needs no gradient, expected every layer to be trained")
    if not isinstance(output, Tensor) or output.grad_fn is None:
        raise CaptureError(f"{call.name}: its output has no gradient, expected one tensor that learns")


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
        if sparse:
            return  # reports what it really multiplies
        grad = _batched(call.module, grad)
        call.record("weight_grad", {"output_grad": grad}, None)
        call.passes["weight_grad"]["input"] = call.passes["forward"]["input"]
        if call.needs_input_grad:
            output_grad, weight = call.passes["weight_grad"]["output_grad"], call.passes["forward"]["weight"]
            call.passes["input_grad"] = {"output_grad": output_grad, "weight": weight}

    return hook


def _as_read(module: nn.Module, input: Tensor) -> Tensor:
    """A dense layer's input as its product reads it: with its batch dimension, and padded if by copies."""
    input = _cast(_batched(module, input))
    return input if isinstance(module, nn.Linear) else padding_of(module).apply(input.detach())


def _batched(module: nn.Module, tensor: Tensor) -> Tensor:
    if isinstance(module, nn.Linear):
        return tensor
    return tensor if tensor.dim() == cast(Tensor, module.weight).dim() else tensor[None]


def _cast(values: Any) -> Tensor:
    """What autocast multiplies: float16 turns the smallest values into zeros."""
    tensor = cast(Tensor, values)
    device = tensor.device.type
    return tensor.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else tensor


def _tensors(output: Any) -> list[Tensor]:
    if isinstance(output, Tensor):
        return [output]
    values = output.values() if isinstance(output, Mapping) else output if isinstance(output, (list, tuple)) else ()
    return [tensor for value in values for tensor in _tensors(value)]
