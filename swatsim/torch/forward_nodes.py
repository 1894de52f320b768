"""The part of a network where nothing learns: autograd records nothing there, so that calls are watched instead."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, cast

from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

# Functions that autograd records under another name than their own.
_RECORDED_AS = {
    "batch_norm": "NativeBatchNorm", "layer_norm": "NativeLayerNorm", "dropout": "NativeDropout",
    "flatten": "View", "reshape": "View", "unflatten": "View", "__getitem__": "Select",
    "__radd__": "Add", "__iadd__": "Add", "float": "ToCopy", "half": "ToCopy", "bfloat16": "ToCopy", "double": "ToCopy",
    "to": "ToCopy", "type": "ToCopy", "cpu": "ToCopy", "cuda": "ToCopy", "requires_grad_": "Alias", "__get__": "Alias",
}  # fmt: skip


class _Metadata(NamedTuple):
    shape: tuple[int, ...]


class ForwardNode:
    """One result of a call, with the members of autograd's nodes that the graph's reader uses."""

    def __init__(self, name: str, parents: list["ForwardNode"], shape: tuple[int, ...]) -> None:
        self._name = name
        self.next_functions = [(parent, 0) for parent in parents]
        self._input_metadata = (_Metadata(shape),)

    def name(self) -> str:
        """As autograd would call it."""
        return f"{self._name}Backward0"


class ForwardNodes(TorchFunctionMode):
    """While entered, remembers from which calls the tensors come that have no gradient."""

    def __init__(self) -> None:
        super().__init__()
        self._made: Any = WeakTensorKeyDictionary()  # tensor -> ForwardNode
        # What a node of autograd's read besides: autograd keeps no track of what does not learn.
        self.beside: dict[Any, list[ForwardNode]] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call the function; one that it calls itself is not seen."""
        kwargs = kwargs or {}
        # Before the call: an operation in place reads the tensor that it makes.
        given = list(tensors_in((args, kwargs)))
        parents = [node for tensor in given if (node := self.of(tensor)) is not None]
        versions = {id(tensor): _version(tensor) for tensor in given}
        result = func(*args, **kwargs)
        for tensor in tensors_in(result):
            if versions.get(id(tensor)) == _version(tensor):
                continue  # handed back as it was: dropout in evaluation, `contiguous` of what is
            if tensor.grad_fn is not None:
                if parents:
                    self.beside.setdefault(tensor.grad_fn, parents)
            elif not tensor.requires_grad:
                self._made[tensor] = ForwardNode(_recorded_as(func), parents, tuple(tensor.shape))
        return result

    def of(self, tensor: Tensor) -> ForwardNode | None:
        """The call that made a tensor without gradient; None: it comes from outside."""
        return cast(ForwardNode | None, self._made.get(tensor)) if tensor.grad_fn is None else None

    def made(self, name: str, tensor: Tensor, shape: tuple[int, ...]) -> ForwardNode:
        """Let a tensor come from a layer."""
        node = ForwardNode(name, [], shape)
        self._made[tensor] = node
        return node


def tensors_in(values: object) -> Iterator[Tensor]:
    """All tensors in nested lists, tuples and dictionaries."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, (list, tuple, Mapping)):
        for value in values.values() if isinstance(values, Mapping) else values:
            yield from tensors_in(value)


def _version(tensor: Tensor) -> object:
    """Changes with each operation in place; those of an inference tensor are not counted, and taken to be one."""
    return object() if tensor.is_inference() else tensor._version


def _recorded_as(func: Callable[..., Any]) -> str:
    name = getattr(func, "__name__", "function")
    words = name.strip("_").split("_")
    # max_pool2d is MaxPool2D.
    return _RECORDED_AS.get(name) or "".join(map(str.capitalize, words)).replace("1d", "1D").replace("2d", "2D")
