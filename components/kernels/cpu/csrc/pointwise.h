// Pointwise operators of a decoder but for its norms, on each row of values by itself: SwiGLU, rotary embedding,
// cross-entropy.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>
#include <limits>

#include "vector.h"

namespace mta {

// Calls f(first column, how many) for vectors that cover `width` columns, the last one perhaps with fewer than `lanes`.
template <typename F>
inline void for_vectors(int64_t width, const F& f) {
  int64_t c = 0;
  for (; c + lanes <= width; c += lanes) f(c, std::integral_constant<int64_t, lanes>{});
  if (c < width) f(c, width - c);
}

// Rows of `width` values in chunks of one size, so that sums over chunks do not depend on the number of threads.
struct Chunks {
  int64_t rows, width;

  int64_t size() const { return round_up(std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(1, width)), lanes); }
  int64_t count() const { return (rows + size() - 1) / size(); }

  // Calls work(chunk, first row, how many) for all rows, up to `lanes` at once, on torch's threads.
  template <typename F>
  void for_rows(const F& work) const {
    at::parallel_for(0, count(), 2, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin * size(); r < std::min(rows, end * size()); r += lanes) {
        work(r / size(), r, std::min(lanes, rows - r));
      }
    });
  }
};

// True if x's rows lie side by side in memory, in whatever order: what acts on each alone takes them as they come.
inline bool any_order(const at::Tensor& x) {
  return x.dim() > 0 && x.sym_stride(-1) == 1 && x.is_non_overlapping_and_dense();
}

inline Vec sigmoid(const Vec& x) {
  return Vec(1.0f) / (Vec(1.0f) + x.neg().exp_u20());
}

// out = a sigmoid(a) b.
inline void swiglu_values(const float* a, const float* b, float* out, int64_t values) {
  for_vectors(values, [&](int64_t c, auto n) {
    const Vec x = Vec::loadu(a + c, n);
    (x * sigmoid(x) * Vec::loadu(b + c, n)).store(out + c, n);
  });
}

inline void swiglu_gradient_values(
    const float* gradient, const float* a, const float* b, float* a_gradient, float* b_gradient, int64_t values) {
  for_vectors(values, [&](int64_t c, auto n) {
    const Vec g = Vec::loadu(gradient + c, n), x = Vec::loadu(a + c, n), share = sigmoid(x), silu = x * share;
    (g * silu).store(b_gradient + c, n);
    (g * Vec::loadu(b + c, n) * at::vec::fmadd(silu, Vec(1.0f) - share, share)).store(a_gradient + c, n);
  });
}

// Turns channel c of a head's first half and of its second, read as a complex number, by cos[c] + i sin[c]; `back`
// turns the other way.
inline void rotate_head(const float* x, const float* cos, const float* sin, bool back, float* out, int64_t half) {
  for_vectors(half, [&](int64_t c, auto n) {
    const Vec real = Vec::loadu(x + c, n), imaginary = Vec::loadu(x + half + c, n);
    const Vec along = Vec::loadu(cos + c, n), across = Vec::loadu(sin + c, n) * Vec(back ? -1.0f : 1.0f);
    (real * along - imaginary * across).store(out + c, n);
    at::vec::fmadd(imaginary, along, real * across).store(out + half + c, n);
  });
}

inline float largest_of(const float* x, int64_t width) {
  constexpr float lowest = -std::numeric_limits<float>::infinity();
  Vec largest(lowest);
  for_vectors(width, [&](int64_t c, auto n) {
    largest = at::vec::maximum(largest, Vec::set(Vec(lowest), Vec::loadu(x + c, n), n));
  });
  return max_of_lanes(largest);
}

// log(sum of exp(logits)) - logits[target].
inline float cross_entropy_row(const float* logits, int64_t target, int64_t width) {
  const float shift = largest_of(logits, width);
  Vec total;
  for_vectors(width, [&](int64_t c, auto n) {
    total = total + Vec::set(Vec(0.0f), (Vec::loadu(logits + c, n) - Vec(shift)).exp_u20(), n);
  });
  return std::log(sum_of_lanes(total)) + (shift - logits[target]);
}

// gradient (softmax(logits) - 1 at the target). The loss is no help: with large logits, it has lost the digits of the
// sum.
inline void cross_entropy_gradient_row(float gradient, const float* logits, int64_t target, float* out, int64_t width) {
  const Vec shift(largest_of(logits, width));
  Vec total;
  for_vectors(width, [&](int64_t c, auto n) {
    const Vec power = (Vec::loadu(logits + c, n) - shift).exp_u20();
    power.store(out + c, n);
    total = total + Vec::set(Vec(0.0f), power, n);
  });
  const Vec scale(gradient / sum_of_lanes(total));
  for_vectors(width, [&](int64_t c, auto n) { (Vec::loadu(out + c, n) * scale).store(out + c, n); });
  out[target] -= gradient;
}

}  // namespace mta
