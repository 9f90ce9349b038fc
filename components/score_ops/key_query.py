"""Key-query convolution (2504.00927, section 3.1).

Each logit or weight sees its neighbours in queries and keys.
"""

from dataclasses import replace
from typing import Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.initialise import Draw, default_stream
from components.kernel_init import Identity, KernelInitConfig
from components.registry import ComponentError, register
from components.score_ops.base import LayerRule, ScoreOp, ScoreOpConfig, Stage

Mask = Literal["double", "exact"]
Padding = Literal["both", "left", "right"]
SIZES = 64
"""of keys are convolved together, where any number of keys will do"""


@register("score_ops", "key_query")
class KeyQuery(ScoreOpConfig):
    """A convolution over the last c_q queries and c_k keys around each place (equations 5, 6).

    Each head has one kernel.
    """

    layers: LayerRule = "every 4"
    """layers that carry it: 'all', 'none', 'every 4' (3, 7, ...), 'spread 6' (evenly) or [3, 7]"""
    kernel: tuple[int, int] = (6, 11)
    """c_q, c_k: how many queries and keys the kernel spans"""
    mask: Mask = "double"
    """'double' reads an earlier query's keys up to that query
    (equation 5), 'exact' up to the row's own (equation 4)"""
    padding: Padding = "both"
    """keys it spans: 'both' sides of its place;
    'left', its key and those before; 'right', its key and those after"""
    init: KernelInitConfig = Identity()
    """the kernel's initial values"""

    def __post_init__(self) -> None:
        check_kernel(self.kernel)

    def identity(self) -> Self:
        return replace(self, init=Identity())

    def build(self, *, heads: int) -> ScoreOp:
        kind = KeyQueryConvolution if self.mask == "double" else ExactConvolution
        return kind(heads=heads, kernel=self.kernel, padding=self.padding, init=self.init)


class KeyQueryConvolution(ScoreOp):
    """S'[i, j] = sum over a, b of theta[a, b] S[i - a, j - b], keys after their query read as zero.

    a = 0 .. c_q - 1 and b = -after .. c_k - 1 - after, zero padding outside. The keys after the
    place, `after` of them, are c_k // 2 where padding is on both sides, none with padding left,
    c_k - 1 with padding right. Entry [m, a, after + b] is theta[a, b] of head m. This is the
    paper's `double` masking: zero here, and the caller masks again.
    """

    def __init__(self, *, heads: int, kernel: tuple[int, int], padding: Padding, init: KernelInitConfig) -> None:
        super().__init__()
        keys = kernel[1]
        self.kernel = nn.Parameter(torch.empty(heads, *kernel))
        self.after = {"both": keys // 2, "left": 0, "right": keys - 1}[padding]
        self.margins = (0, 0) if self.after == keys // 2 else (keys - 1 - self.after, self.after)
        """what a centred kernel that holds this one has before and behind it"""
        self.init = init
        self.initialise(default_stream)

    @property
    def earlier_queries(self) -> int:  # type: ignore[override]
        return self.kernel.shape[-2] - 1

    def initialise(self, draw: Draw) -> None:
        """Fill the kernel as its `kernel_init` fills a centred one."""
        heads, queries, keys = self.kernel.shape
        centred = self.kernel.new_empty(heads, queries, keys + sum(self.margins))
        self.init.fill(centred, draw("kernel"))
        with torch.no_grad():
            self.kernel.copy_(centred.narrow(2, self.margins[0], keys))

    def centred(self) -> Tensor:
        """Return the kernel with zeros around it, so that its middle is b = 0."""
        return F.pad(self.kernel, self.margins) if any(self.margins) else self.kernel

    def forward(self, scores_BMQK: Tensor, visible_QK: Tensor) -> Tensor:
        """Convolve each head's map with its kernel."""
        seen_BMQK = scores_BMQK.masked_fill(~visible_QK, 0.0)
        return convolve(seen_BMQK, self.kernel.unsqueeze(1), above=self.kernel.shape[1] - 1, after=self.after)

    def right_rows(self, scores_BMQK: Tensor, visible_QK: Tensor) -> Tensor:
        return convolve_below(scores_BMQK, visible_QK, self.kernel.unsqueeze(1), after=self.after)

    @property
    def keys_around(self) -> tuple[int, int]:
        return self.kernel.shape[-1] - 1 - self.after, self.after

    def next_row(self, window_BMAL: Tensor) -> Tensor:
        return convolve_last(window_BMAL, self.kernel.unsqueeze(1))

    def stage(self) -> Stage:
        return Stage("convolve", self.centred())


class ExactConvolution(KeyQueryConvolution):
    """The same sum over 0 <= j - b <= i (equation 4).

    Of every earlier query, it reads all keys that the row's own query sees.

    After the softmax nothing changes: weights at keys after their query are zero.
    """

    reads_invisible = True
    earlier_queries = KeyQueryConvolution.earlier_queries  # said anew, of this class's `forward`

    def forward(self, scores_BMQK: Tensor, visible_QK: Tensor) -> Tensor:
        """Convolve along keys, one earlier query after another.

        Each is under the mask of the row that reads it.
        """
        return self._convolved(F.pad(scores_BMQK, (0, 0, self.kernel.shape[1] - 1, 0)), visible_QK)

    def right_rows(self, scores_BMQK: Tensor, visible_QK: Tensor) -> Tensor:
        return self._convolved(scores_BMQK, visible_QK[self.kernel.shape[1] - 1 :])

    def _convolved(self, above_BMQK: Tensor, visible_QK: Tensor) -> Tensor:
        """Return the rows of `visible_QK`, the last ones of those given."""
        queries, rows = self.kernel.shape[1], len(visible_QK)
        convolved_BMQK = torch.zeros_like(above_BMQK[:, :, queries - 1 :])
        for a in range(queries):
            earlier_BMQK = above_BMQK.narrow(2, queries - 1 - a, rows)  # in row i: what row i - a held
            seen_BMQK = earlier_BMQK.masked_fill(~visible_QK, 0.0)
            kernel_MNAB = self.kernel[:, None, a : a + 1]
            convolved_BMQK = convolved_BMQK + convolve(seen_BMQK, kernel_MNAB, above=0, after=self.after)
        return convolved_BMQK

    def stage(self) -> Stage:
        return Stage("convolve_exact", self.centred())


def convolve(scores_BMQK: Tensor, kernel_MNAB: Tensor, *, above: int, after: int) -> Tensor:
    """Convolve groups of N heads' maps, `after` keys beyond each place, below `above` zero rows.

    Kernel [m, n] is what head m reads of its group's head n. Returns Q + above - (A - 1) rows, and
    as many keys as it is given.
    """
    if scores_BMQK.shape[-1] == 0:  # which conv2d refuses; still part of the computation, with a gradient of zero
        return scores_BMQK * kernel_MNAB.sum()
    heads, group, _, keys = kernel_MNAB.shape
    padded = F.pad(scores_BMQK, (keys - 1 - after, after, above, 0))
    return F.conv2d(padded, kernel_MNAB.flip(2, 3), groups=heads // group)


def convolve_below(scores_BMQK: Tensor, visible_QK: Tensor, kernel_MNAB: Tensor, *, after: int) -> Tensor:
    """Return the rows of `convolve` that need nothing above, those from A - 1 on.

    Invisible places read as zero.
    """
    (queries, keys), (heads, group, above, span) = scores_BMQK.shape[2:], kernel_MNAB.shape
    # oneDNN makes a program for each size, which takes a millisecond: so there are few sizes.
    spare = -keys % SIZES if queries > above else 0
    before = span - 1 - after
    padded_BMQL = F.pad(scores_BMQK, (before, after + spare))
    if queries > 1:  # no row has an invisible key before the last ones, as many as there are rows
        places = slice(before + keys - queries, before + keys)
        padded_BMQL[..., places].masked_fill_(~visible_QK[:, -queries:], 0.0)
    if queries > above:
        return F.conv2d(padded_BMQL, kernel_MNAB.flip(2, 3), groups=heads // group)[..., :keys]
    return convolve_last(padded_BMQL, kernel_MNAB)


def convolve_last(window_BMAL: Tensor, kernel_MNAB: Tensor) -> Tensor:
    """Return the row of `convolve` that A rows make, with zeros around what they have of keys."""
    (batch, heads, _, length), (_, group, above, span) = window_BMAL.shape, kernel_MNAB.shape
    # A product of matrices, over heads and queries, and a sum over the keys.
    kernel_GOBNA = kernel_MNAB.flip(2, 3).view(-1, group, group, above, span).permute(0, 1, 4, 2, 3)
    rows_BGIL = window_BMAL.reshape(batch, heads // group, group * above, length)
    kernel_GPI = kernel_GOBNA.flatten(1, 2).flatten(2)
    sums_BGPL = kernel_GPI @ rows_BGIL if batch > 1 else torch.bmm(kernel_GPI, rows_BGIL[0])
    sums_BMPL = sums_BGPL.view(batch, heads, span, length)
    return sums_BMPL.unfold(3, length - span + 1, 1).diagonal(dim1=2, dim2=3).sum(-1).unsqueeze(2)


def check_kernel(kernel: tuple[int, int]) -> None:
    """Refuse what are not the sizes of a kernel."""
    if min(kernel) < 1:
        raise ComponentError(f"kernel: got {list(kernel)}, allowed: two sizes of at least 1, like [6, 11]")
