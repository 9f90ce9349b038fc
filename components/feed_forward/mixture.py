"""A mixture of experts that each token chooses from (Shazeer et al. 2017, 1701.06538).

Shapes: B batch, T tokens, D model width, N = B T, E experts, A active experts of a token.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from components.feed_forward.base import GATED, FeedForwardConfig, check_size, hidden_width
from components.feed_forward.swiglu import SwiGLU
from components.registry import ComponentError, register

LOAD_BALANCE = "load_balance"


@register("feed_forward", "mixture")
class Mixture(FeedForwardConfig):
    """Several SwiGLUs, of which each token is sent to the few that a router scores highest."""

    experts: int = 4
    """how many there are"""
    active: int = 2
    """experts of a token, weighed by a softmax over their scores (Mixtral, 2401.04088)"""
    size: float | None = None
    """hidden width of a token's active experts together, over the model's; not set: 8 / 3,
    so that a token takes the work of the default, and the router's"""

    def __post_init__(self) -> None:
        if self.size is not None:
            check_size(self.size)
        if not 2 <= self.experts <= 1024:
            raise ComponentError(f"experts: got {self.experts}, allowed: 2 to 1024")
        if not 1 <= self.active <= self.experts:
            raise ComponentError(f"active: got {self.active}, allowed: 1 to experts ({self.experts})")

    @property
    def used(self) -> float:
        """Return the share of the active experts; the router's few weights are not told apart."""
        return self.active / self.experts

    def build(self, *, width: int, multiple: int, layer: int, layers: int) -> nn.Module:
        """Return a `MixtureOfExperts`, the same on all layers."""
        hidden = hidden_width(width, multiple, self.size or GATED)
        return MixtureOfExperts(width, math.ceil(hidden / self.active), self.experts, self.active)


class MixtureOfExperts(nn.Module):
    """The weighted sum of each token's active experts. No token is dropped, whatever the load."""

    def __init__(self, width: int, hidden: int, experts: int, active: int) -> None:
        super().__init__()
        self.active = active
        self.router = nn.Linear(width, experts, bias=False)
        self.experts = nn.ModuleList(SwiGLU(width, hidden) for _ in range(experts))
        self.load_balance: Tensor | None = None
        """of the last forward"""

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Send each token to its experts, and add up what they return."""
        scores_BTE = self.router(x_BTD).float() if x_BTD.dtype != torch.float64 else self.router(x_BTD)
        highest_BTA, chosen_BTA = scores_BTE.topk(self.active, dim=-1)
        self.load_balance = load_balance(scores_BTE, chosen_BTA)
        x_ND, chosen_NA = x_BTD.flatten(0, -2), chosen_BTA.flatten(0, -2)
        weights_NA = highest_BTA.softmax(-1).flatten(0, -2)
        y_ND = torch.zeros_like(x_ND, dtype=scores_BTE.dtype)
        # An expert without tokens runs as well: its gradient is zero, and not missing, so that an
        # optimizer treats the weights of all experts alike.
        for number, expert in enumerate(self.experts):
            token_n, place_n = (chosen_NA == number).nonzero(as_tuple=True)
            found_nD = expert(x_ND[token_n]) * weights_NA[token_n, place_n].unsqueeze(-1)
            y_ND = y_ND.index_add(0, token_n, found_nD.to(y_ND.dtype))
        return y_ND.to(x_BTD.dtype).view_as(x_BTD)

    def auxiliary_losses(self) -> Mapping[str, Tensor]:
        """Return the loss that balances the load of the experts."""
        return {} if self.load_balance is None else {LOAD_BALANCE: self.load_balance}


def load_balance(scores_BTE: Tensor, chosen_BTA: Tensor) -> Tensor:
    """Return E sum_e f_e p_e, the mean over sequences; 1 where the load is even, at most E.

    f_e is the share of a sequence's choices that are expert e, p_e the mean probability that the
    router gives to it (Switch Transformer, 2101.03961, equation 4; by sequence as in DeepSeek-V3,
    2412.19437, equation 17).
    """
    experts = scores_BTE.shape[-1]
    share_BE = nn.functional.one_hot(chosen_BTA, experts).to(scores_BTE.dtype).mean((-3, -2))
    probability_BE = scores_BTE.softmax(-1).mean(-2)
    return experts * (share_BE * probability_BE).sum(-1).mean()
