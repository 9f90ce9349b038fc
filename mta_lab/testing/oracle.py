"""A slow reference of attention variants: loops over the published equations, in float64.

Nothing here comes from `components/`. Autograd runs through the loops and gives reference gradients
too.

Notation of arXiv 2504.00927: i, a query position and offset; j, b key position and offset; theta a
kernel. Shapes: M heads, T tokens, d head width. One sequence at a time. A map `S[i][j]` is the
vector of the M heads' values there. Raw logits are a square, for equation 4 reads an earlier
query's logits at later keys; so are mixings of them. Convolutions and the softmax return triangles:
`S[i][j]` exists for j <= i only, so that nothing after them can read a key after its query.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Map = list[list[Tensor]]
"""S[i][j]: a vector of M values"""
Op = Callable[[Map], Map]
Norm = Callable[[Tensor], Tensor]

EPS = 1e-5


def logits(q_MTd: Tensor, k_MTd: Tensor) -> Map:
    """Equation 1: S[i, j] = q_i . k_j / sqrt(d), for every query and key."""
    tokens, width = q_MTd.shape[1:]
    return [[(q_MTd[:, i] * k_MTd[:, j]).sum(-1) / math.sqrt(width) for j in range(tokens)] for i in range(tokens)]


def softmax(S: Map) -> Map:
    """Equation 1: A[i, j] = exp S[i, j] / sum over j' <= i of exp S[i, j']."""
    A: Map = []
    for i in range(len(S)):
        row = S[i][: i + 1]
        largest = torch.stack(row).amax(0).detach()
        powers = [(s - largest).exp() for s in row]
        total = torch.stack(powers).sum(0)
        A.append([power / total for power in powers])
    return A


def weigh(A: Map, v_MTd: Tensor) -> Tensor:
    """Equation 1: y_i = sum over j <= i of A[i, j] v_j; returns y [M, T, d]."""
    rows = []
    for weights in A:
        terms = [weight_M[:, None] * v_MTd[:, j] for j, weight_M in enumerate(weights)]
        rows.append(torch.stack(terms).sum(0))
    return torch.stack(rows, dim=1)


def key_offsets(c_k: int, padding: str = "both") -> range:
    """Return the offsets b of a kernel's columns, from the first to the last."""
    first = {"both": -math.floor(c_k / 2), "left": 0, "right": -(c_k - 1)}[padding]
    return range(first, first + c_k)


def convolve(S: Map, theta_MAB: Tensor, padding: str = "both") -> Map:
    """Compute equations 5 and 6.

    S'[i, j] = sum over a, b of theta[a, b] S[i - a, j - b] where 0 <= j - b <= i - a.

    Equations 5 (logits) and 6 (weights) differ in what stands at j > i, -inf or 0: neither is held
    here.
    """
    c_q, c_k = theta_MAB.shape[1:]
    offsets = key_offsets(c_k, padding)
    convolved: Map = []
    for i in range(len(S)):
        convolved.append([])
        for j in range(i + 1):
            terms = [torch.zeros_like(S[i][j])]
            for a in range(c_q):
                for column, b in enumerate(offsets):
                    if i - a >= 0 and 0 <= j - b <= i - a:
                        terms.append(theta_MAB[:, a, column] * S[i - a][j - b])
            convolved[i].append(torch.stack(terms).sum(0))
    return convolved


def convolve_exact(S: Map, theta_MAB: Tensor, padding: str = "both", *, weights: bool = False) -> Map:
    """Equation 4: S'[i, j] = sum over a, b of theta[a, b] S[i - a, j - b] where 0 <= j - b <= i.

    `weights` are attention weights: a triangle, zero at keys after their query.
    """
    c_q, c_k = theta_MAB.shape[1:]
    offsets = key_offsets(c_k, padding)
    zero = torch.zeros_like(S[0][0])
    convolved: Map = []
    for i in range(len(S)):
        convolved.append([])
        for j in range(i + 1):
            terms = [zero]
            for a in range(min(c_q, i + 1)):
                for column, b in enumerate(offsets):
                    if 0 <= j - b <= i:
                        s_M = zero if weights and j - b > i - a else S[i - a][j - b]
                        terms.append(theta_MAB[:, a, column] * s_M)
            convolved[i].append(torch.stack(terms).sum(0))
    return convolved


def mix(S: Map, matrix_GOI: Tensor) -> Map:
    """Compute equation 7: in group g, head o becomes the sum over n of matrix[g, o, n] S_n.

    A group has c_h neighbours.
    """
    groups, c_h, _ = matrix_GOI.shape
    mixed: Map = []
    for row in S:
        mixed.append([])
        for s_M in row:
            heads = []
            for g in range(groups):
                for o in range(c_h):
                    terms = [matrix_GOI[g, o, n] * s_M[g * c_h + n] for n in range(c_h)]
                    heads.append(torch.stack(terms).sum())
            mixed[-1].append(torch.stack(heads))
    return mixed


def joint(S: Map, theta_GOIAB: Tensor) -> Map:
    """Compute section 3.3's joint convolution.

    S'[o, i, j] = sum over n, a, b of theta[o, n, a, b] S[n, i - a, j - b] where 0 <= j - b <=
    i - a.

    o and n are heads of one group g of c_h neighbours, theta[g, o, n] a kernel as in `convolve`.
    """
    groups, c_h, _, c_q, c_k = theta_GOIAB.shape
    convolved: Map = []
    for i in range(len(S)):
        convolved.append([])
        for j in range(i + 1):
            heads = []
            for g in range(groups):
                for o in range(c_h):
                    terms = [torch.zeros_like(S[i][j][0])]
                    for a in range(c_q):
                        for column, b in enumerate(key_offsets(c_k)):
                            if i - a >= 0 and 0 <= j - b <= i - a:
                                for n in range(c_h):
                                    terms.append(theta_GOIAB[g, o, n, a, column] * S[i - a][j - b][g * c_h + n])
                    heads.append(torch.stack(terms).sum())
            convolved[i].append(torch.stack(heads))
    return convolved


def attention(
    q_MTd: Tensor,
    k_MTd: Tensor,
    v_MTd: Tensor,
    *,
    pre: Sequence[Op] = (),
    post: Sequence[Op] = (),
    norm: Norm,
) -> Tensor:
    """Return [M, T, d]: logits, `pre`, softmax, `post`, values, each head's `norm`, in order."""
    S = logits(q_MTd, k_MTd)
    for op in pre:
        S = op(S)
    A = softmax(S)
    for op in post:
        A = op(A)
    return norm(weigh(A, v_MTd))


def lambda_init(layer: int) -> float:
    """0.8 - 0.6 exp(-0.3 (l - 1)), layers counted from 1."""
    return 0.8 - 0.6 * math.exp(-0.3 * (layer - 1))


def no_norm(y_MTd: Tensor) -> Tensor:
    """`none`: nothing."""
    return y_MTd


def plain(y_MTd: Tensor, weight_d: Tensor) -> Tensor:
    """`plain`: y_c weight_c / sqrt(mean over the head's channels of y^2 + eps)."""
    return y_MTd * weight_d / torch.sqrt((y_MTd**2).mean(-1, keepdim=True) + EPS)


def depth(y_MTd: Tensor, weight_d: Tensor, layer: int) -> Tensor:
    """`depth`: plain, times 1 - lambda_init(l)."""
    return plain(y_MTd, weight_d) * (1 - lambda_init(layer))


def layer_norm(y_MTd: Tensor, weight_d: Tensor, layer: int) -> Tensor:
    """`layer_norm`: plain, times 1 / sqrt(l)."""
    return plain(y_MTd, weight_d) / math.sqrt(layer)


def gate(y_MTd: Tensor, weight_d: Tensor, w_d: Tensor, bias: Tensor) -> Tensor:
    """`gate`: y = plain, then y times sigmoid(w . y + b), one scalar for each head and position."""
    gated = plain(y_MTd, weight_d).clone()
    heads = []
    for y_Td in gated:
        heads.append(torch.stack([y_d / (1 + torch.exp(-((w_d * y_d).sum() + bias))) for y_d in y_Td]))
    return torch.stack(heads)


def channel_gate(y_MTd: Tensor, weight_d: Tensor, W_dd: Tensor, bias_d: Tensor) -> Tensor:
    """`gate` per channel: y = plain, then y_c times sigmoid(W[c] . y + b_c) for each channel c."""
    heads = []
    for y_Td in plain(y_MTd, weight_d):
        positions = []
        for y_d in y_Td:
            gates = [1 / (1 + torch.exp(-((W_dd[c] * y_d).sum() + bias_d[c]))) for c in range(len(y_d))]
            positions.append(y_d * torch.stack(gates))
        heads.append(torch.stack(positions))
    return torch.stack(heads)


def differential(
    q_MTd: Tensor,
    k_MTd: Tensor,
    v_MTd: Tensor,
    *,
    lambdas_4d: Sequence[Tensor],
    weight_2d: Tensor,
    layer: int,
) -> Tensor:
    """Return [M / 2, T, 2d] of 2410.05258: A = softmax(1) - lambda softmax(2), values of width 2d.

    `lambdas_4d` are lq1, lk1, lq2, lk2 and lambda = exp(lq1 . lk1) - exp(lq2 .
    lk2) + lambda_init(l).
    """
    lq1, lk1, lq2, lk2 = lambdas_4d
    weight = torch.exp((lq1 * lk1).sum()) - torch.exp((lq2 * lk2).sum()) + lambda_init(layer)
    heads = []
    for m in range(0, len(q_MTd), 2):
        first = softmax(logits(q_MTd[m : m + 1], k_MTd[m : m + 1]))
        second = softmax(logits(q_MTd[m + 1 : m + 2], k_MTd[m + 1 : m + 2]))
        A = [[one - weight * two for one, two in zip(*rows, strict=True)] for rows in zip(first, second, strict=True)]
        wide_value = torch.cat((v_MTd[m], v_MTd[m + 1]), dim=-1)
        heads.append(weigh(A, wide_value[None])[0])
    return depth(torch.stack(heads), weight_2d, layer)


def rotary_angles(tokens: int, width: int, theta: float) -> Tensor:
    """Return the angles [T, d / 2]: position i turns channel pair c by i theta^(-2c / d).

    Source: 2104.09864.
    """
    turns = [[i * theta ** (-2 * c / width) for c in range(width // 2)] for i in range(tokens)]
    return torch.tensor(turns, dtype=torch.float64)


def rotate(x_MTd: Tensor, angles: Tensor) -> Tensor:
    """Turn the pair (x_c, x_{c + d / 2}), read as a complex number, by its position's angle."""
    half = x_MTd.shape[-1] // 2
    turned = torch.complex(x_MTd[..., :half], x_MTd[..., half:]) * torch.exp(1j * angles)
    return torch.cat((turned.real, turned.imag), dim=-1)
