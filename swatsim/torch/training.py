"""A sparse training run: its layers, its steps, and what the optimiser remembers."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from swatsim.budgets import Place
from swatsim.errors import SwatsimError
from swatsim.schemes import LayerRule, Scheme
from swatsim.torch.layers import SparseLayer, make_dense, make_sparse, mask_normalisation, pass_mask_on

_PREFIX = "swatsim_"
# Value by value, and 0 stays 0: an output mask holds behind them.
_ELEMENTWISE = (
    nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Tanh, nn.Hardtanh,
    nn.Hardswish, nn.Dropout, nn.Identity,
)  # fmt: skip
_NORMALISATIONS = (_NormBase, nn.GroupNorm, nn.LayerNorm)


class TrainedLayer:
    """A layer that a scheme trains: the protocol `Trained` over a torch module."""

    def __init__(self, module: nn.Module, place: Place, optimizer: torch.optim.Optimizer) -> None:
        self.module, self.place = module, place
        self.rule: LayerRule
        self._optimizer = optimizer
        self._names: list[str] = []

    @property
    def weight(self) -> Tensor:
        """The parameter, dense."""
        return cast(Tensor, self.module.weight)

    def keep(self, name: str, values: Tensor, *, learns: bool = False) -> None:
        """Give the module a buffer, or a parameter that the optimiser learns too: both are in its state_dict."""
        key = _PREFIX + name
        self._names.append(key)
        if learns:
            parameter = nn.Parameter(values.detach().clone())
            self.module.register_parameter(key, parameter)
            # The scheme has its own regularisation: weight decay is not for its thresholds.
            rate = self._optimizer.param_groups[0]["lr"]
            self._optimizer.add_param_group({"params": [parameter], "lr": rate, "weight_decay": 0.0})
        else:
            self.module.register_buffer(key, values.detach().clone())

    def kept(self, name: str) -> Any:
        """What `keep` has put there, or what the user has loaded since."""
        return getattr(self.module, _PREFIX + name)

    def leave(self) -> None:
        """Make the module dense again; what the scheme had learned of it is gone."""
        make_dense(cast(SparseLayer, self.module))
        for key in self._names:
            parameter = self.module._parameters.get(key)
            if parameter is not None:
                self._optimizer.state.pop(parameter, None)
                groups = self._optimizer.param_groups
                groups[:] = [group for group in groups if all(each is not parameter for each in group["params"])]
            delattr(self.module, key)


class Sparsifier:
    """What `sparsify` did: the scheme, its layers, the optimiser's step count, and the way back."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, scheme: Scheme, seed: int) -> None:
        self.scheme = scheme
        self.step = 0  # optimiser steps taken
        self.layers: list[TrainedLayer] = []
        self.random = torch.Generator().manual_seed(seed)
        self._model, self._optimizer = model, optimizer
        self._handles: list[Any] = []

    @property
    def modules(self) -> dict[str, nn.Module]:
        """The sparse modules by name."""
        return {layer.place.name: layer.module for layer in self.layers}

    def momentum(self, parameter: Tensor) -> Tensor | None:
        """The optimiser's running mean of gradients; None: none yet."""
        state = self._optimizer.state.get(parameter, {})
        return cast(Tensor | None, state.get("momentum_buffer", state.get("exp_avg")))

    def skip_update(self) -> None:
        """Take all gradients away, so that the optimiser changes nothing in this step."""
        self._optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        """What goes on in a resumed run beside the states of model and optimiser: the step, and the random source's."""
        return {"step": self.step, "random": self.random.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self.step = int(state["step"])
        self.random.set_state(state["random"])

    def attach(self, module: nn.Module, place: Place, sparsity: Fraction) -> None:
        """Give a layer its rule, if the scheme has one for it."""
        layer = TrainedLayer(module, place, self._optimizer)
        rule = self.scheme.rule(layer, sparsity, self)
        if rule is None:
            return
        if rule.owns_weight and any(other.weight is layer.weight for other in self.layers):
            raise SwatsimError(f"{place.name}: shares its weight with another layer, expected one of its own")
        layer.rule = rule
        make_sparse(module, self, rule)
        # Weights that were loaded are not those that were selected from.
        register: Any = module.register_load_state_dict_post_hook
        # The module's own rule: of a copied module it is a copy.
        self._handles.append(register(lambda loaded, _: loaded.swatsim_rule.forget()))
        self.layers.append(layer)

    def watch(self) -> None:
        """Follow the optimiser's steps, and the normalisations that must not undo output masks."""
        self._handles.append(self._optimizer.register_step_pre_hook(self._before_update))
        self._handles.append(self._optimizer.register_step_post_hook(self._after_update))
        for module in self._model.modules():
            if isinstance(module, _NORMALISATIONS):
                self._handles.append(module.register_forward_hook(mask_normalisation))
            elif isinstance(module, _ELEMENTWISE):
                self._handles.append(module.register_forward_hook(pass_mask_on))

    def _before_update(self, _: object, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        if arguments[1:] or options.get("closure") is not None:
            raise SwatsimError("optimizer.step: got a closure, expected the gradients computed before it")
        with torch.no_grad():
            self.scheme.before_update(self)

    def _after_update(self, *_: object) -> None:
        self.step += 1
        with torch.no_grad():
            self.scheme.after_update(self)

    def remove(self) -> None:
        """Make every layer dense again."""
        for layer in self.layers:
            layer.leave()
        for handle in self._handles:
            handle.remove()
        self.layers, self._handles = [], []
