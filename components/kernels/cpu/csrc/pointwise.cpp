// torch operators on rows: mta_lab::rms_norm, swiglu, rotate and cross_entropy, and their gradients; `gradients.cpp`
// joins the two.
#include "pointwise.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include <vector>

#include "norm.h"

namespace mta {
namespace {

using at::Tensor;
using MaybeTensor = std::optional<Tensor>;
using Tensors = std::vector<Tensor>;

// x with its values side by side; of the sizes of `like`, if given.
Tensor dense(const char* name, const Tensor& x, const Tensor& like = {}) {
  TORCH_CHECK(x.scalar_type() == at::kFloat, name, ": got ", x.scalar_type(), ", allowed: float32");
  TORCH_CHECK(x.dim() > 0, name, ": no rows in a single value");
  TORCH_CHECK(!like.defined() || x.sizes() == like.sizes(), name, ": ", x.sizes(), " and ", like.sizes(), " differ");
  return x.contiguous();
}

const float* read(const Tensor& x) {
  return x.const_data_ptr<float>();
}

float* write(const Tensor& x) {
  return x.mutable_data_ptr<float>();
}

Chunks chunks_of(const Tensor& x) {
  return {x.size(-1) > 0 ? x.numel() / x.size(-1) : 0, x.size(-1)};
}

// The norm of rows like x; `weight` and `gate` own what it points to.
Norm norm_of(const Tensor& x, const Tensor& weight, const MaybeTensor& gate, const MaybeTensor& bias, double eps) {
  const auto values = [&](const Tensor& given) {
    TORCH_CHECK(
        given.numel() == x.size(-1) && given.is_contiguous(), "rms_norm: rows of ", x.size(-1),
        " values and, side by side in memory, a weight or gate of ", given.sizes());
    return read(given);
  };
  TORCH_CHECK(
      gate.has_value() == bias.has_value() && (!bias || (bias->numel() == 1 && bias->scalar_type() == at::kFloat)),
      "rms_norm: a gate has a bias, one float32");
  return {
      x.size(-1), values(weight), gate ? values(*gate) : nullptr, bias ? bias->item<float>() : 0.0f,
      static_cast<float>(eps)};
}

Tensor rms_norm(const Tensor& x, const Tensor& weight, const MaybeTensor& gate, const MaybeTensor& bias, double eps) {
  const Tensor from = any_order(x) ? x : dense("rms_norm", x), out = at::empty_like(from);
  const Norm norm = norm_of(from, weight, gate, bias, eps);
  chunks_of(from).for_rows([&](int64_t, int64_t first, int64_t count) {
    norm.forward(read(from) + first * norm.width, count, write(out) + first * norm.width);
  });
  return out;
}

Tensors rms_norm_backward(
    const Tensor& gradient, const Tensor& x, const Tensor& weight, const MaybeTensor& gate, const MaybeTensor& bias,
    double eps) {
  const Tensor from = any_order(x) ? x : dense("rms_norm", x);
  TORCH_CHECK(
      gradient.sizes() == x.sizes() && gradient.scalar_type() == x.scalar_type(), "rms_norm: gradient ",
      gradient.scalar_type(), " ", gradient.sizes(), " and rows ", x.scalar_type(), " ", x.sizes(), " differ");
  const Tensor gradients = gradient.strides() == from.strides() ? gradient : at::empty_like(from).copy_(gradient);
  const Norm norm = norm_of(from, weight, gate, bias, eps);
  const Tensor x_gradient = at::empty_like(from), weight_gradient = at::empty_like(weight);
  const Chunks chunks = chunks_of(from);
  const int64_t width = norm.width, size = 2 * width + 1;
  std::vector<float> sums(size * (chunks.count() + 1));  // of each chunk, and then of all
  chunks.for_rows([&](int64_t chunk, int64_t first, int64_t count) {
    const int64_t at = first * width;
    norm.backward(read(gradients) + at, read(from) + at, count, write(x_gradient) + at, sums.data() + chunk * size);
  });
  float *const total = sums.data() + chunks.count() * size, *const to_weight = write(weight_gradient);
  for (int64_t chunk = 0; chunk < chunks.count(); ++chunk) {
    for (int64_t i = 0; i < size; ++i) total[i] += sums[chunk * size + i];
  }
  std::copy_n(total, width, to_weight);
  if (!gate) return {x_gradient, weight_gradient};
  const Tensor gate_gradient = at::empty_like(*gate);
  float* const to_gate = write(gate_gradient);
  for (int64_t c = 0; c < width; ++c) {
    to_weight[c] += total[width + c] * norm.gate[c];
    to_gate[c] = total[width + c] * norm.weight[c];
  }
  return {x_gradient, weight_gradient, gate_gradient, at::full_like(*bias, total[2 * width])};
}

Tensor swiglu(const Tensor& a, const Tensor& b) {
  const Tensor gates = dense("swiglu", a), ups = dense("swiglu", b, gates), out = at::empty_like(gates);
  const Chunks chunks = chunks_of(gates);
  chunks.for_rows([&](int64_t, int64_t first, int64_t count) {
    const int64_t at = first * chunks.width;
    swiglu_values(read(gates) + at, read(ups) + at, write(out) + at, count * chunks.width);
  });
  return out;
}

Tensors swiglu_backward(const Tensor& gradient, const Tensor& a, const Tensor& b) {
  const Tensor gates = dense("swiglu", a), ups = dense("swiglu", b, gates);
  const Tensor gradients = dense("swiglu", gradient, gates);
  const Tensor a_gradient = at::empty_like(gates), b_gradient = at::empty_like(gates);
  const Chunks chunks = chunks_of(gates);
  chunks.for_rows([&](int64_t, int64_t first, int64_t count) {
    const int64_t at = first * chunks.width;
    swiglu_gradient_values(
        read(gradients) + at, read(gates) + at, read(ups) + at, write(a_gradient) + at, write(b_gradient) + at,
        count * chunks.width);
  });
  return {a_gradient, b_gradient};
}

// x [..., T, heads d] turned by `turns` [T, 2, d / 2], cosines and sines, or back.
Tensor rotate(const Tensor& x, const Tensor& turns, bool back) {
  const Tensor from = dense("rotate", x), table = dense("rotate", turns), out = at::empty_like(from);
  const int64_t half = table.size(-1);
  TORCH_CHECK(
      from.dim() > 1 && table.dim() == 3 && table.size(0) == from.size(-2) && table.size(1) == 2 &&
          (half > 0 ? from.size(-1) % (2 * half) : from.size(-1)) == 0,
      "rotate: ", from.sizes(), " cannot be turned by ", table.sizes());
  const Chunks chunks = chunks_of(from);
  const float *const in = read(from), *const angles = read(table);
  float* const to = write(out);
  chunks.for_rows([&](int64_t, int64_t first, int64_t count) {
    for (int64_t r = first; r < first + count; ++r) {
      const float* const turn = angles + r % table.size(0) * 2 * half;
      for (int64_t at = r * chunks.width; at < (r + 1) * chunks.width; at += 2 * half) {
        rotate_head(in + at, turn, turn + half, back, to + at, half);
      }
    }
  });
  return out;
}

// Calls work(row, its target) for all rows of logits [N, V] and targets [N].
template <typename F>
void for_targets(const Tensor& logits, const Tensor& targets, const F& work) {
  TORCH_CHECK(
      logits.dim() == 2 && targets.dim() == 1 && targets.size(0) == logits.size(0) &&
          targets.scalar_type() == at::kLong,
      "cross_entropy: logits of ", logits.sizes(), ", targets of ", targets.sizes(), " and ", targets.scalar_type());
  const Tensor owner = targets.contiguous();
  const int64_t* const wanted = owner.const_data_ptr<int64_t>();
  const Chunks all{logits.size(0), logits.size(1)};  // rows of no classes are rows: none of them can have a target
  all.for_rows([&](int64_t, int64_t first, int64_t count) {
    for (int64_t r = first; r < first + count; ++r) {
      const int64_t target = wanted[r], last = logits.size(1) - 1;
      TORCH_CHECK_INDEX(0 <= target && target <= last, "cross_entropy: target ", target, ", allowed: 0 to ", last);
      work(r, target);
    }
  });
}

Tensor cross_entropy(const Tensor& logits, const Tensor& targets) {
  const Tensor from = dense("cross_entropy", logits), losses = at::empty(targets.sizes(), from.options());
  const int64_t width = from.size(-1);
  const float* const in = read(from);
  float* const out = write(losses);
  for_targets(
      from, targets, [&](int64_t r, int64_t target) { out[r] = cross_entropy_row(in + r * width, target, width); });
  return losses;
}

Tensor cross_entropy_backward(const Tensor& gradient, const Tensor& logits, const Tensor& targets) {
  const Tensor from = dense("cross_entropy", logits), out = at::empty_like(from);
  TORCH_CHECK(
      gradient.sizes() == targets.sizes(), "cross_entropy: ", gradient.sizes(), " and ", targets.sizes(), " differ");
  const Tensor gradients = dense("cross_entropy", gradient);
  const int64_t width = from.size(-1);
  const float *const g = read(gradients), *const in = read(from);
  float* const to = write(out);
  for_targets(from, targets, [&](int64_t r, int64_t target) {
    cross_entropy_gradient_row(g[r], in + r * width, target, to + r * width, width);
  });
  return out;
}

}  // namespace
}  // namespace mta

TORCH_LIBRARY_FRAGMENT(mta_lab, library) {
  library.def("rms_norm(Tensor x, Tensor weight, Tensor? gate, Tensor? bias, float eps) -> Tensor");
  library.def(
      "rms_norm_backward(Tensor gradient, Tensor x, Tensor weight, Tensor? gate, Tensor? bias, float eps) -> Tensor[]");
  library.def("swiglu(Tensor a, Tensor b) -> Tensor");
  library.def("swiglu_backward(Tensor gradient, Tensor a, Tensor b) -> Tensor[]");
  library.def("rotate(Tensor x, Tensor turns, bool back=False) -> Tensor");
  library.def("cross_entropy(Tensor logits, Tensor targets) -> Tensor");
  library.def("cross_entropy_backward(Tensor gradient, Tensor logits, Tensor targets) -> Tensor");
}

TORCH_LIBRARY_IMPL(mta_lab, CPU, library) {
  library.impl("rms_norm", &mta::rms_norm);
  library.impl("rms_norm_backward", &mta::rms_norm_backward);
  library.impl("swiglu", &mta::swiglu);
  library.impl("swiglu_backward", &mta::swiglu_backward);
  library.impl("rotate", &mta::rotate);
  library.impl("cross_entropy", &mta::cross_entropy);
  library.impl("cross_entropy_backward", &mta::cross_entropy_backward);
}
