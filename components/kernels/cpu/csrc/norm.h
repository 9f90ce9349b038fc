// RMSNorm of rows, with and without a gate, and its gradient.
#pragma once

#include "pointwise.h"

namespace mta {

// y = x r w, r = 1 / sqrt(mean(x^2) + eps), and with a gate v this times s = sigmoid(sum of v r w x, + bias).
struct Norm {
  int64_t width;
  const float *weight, *gate;  // w, v; v is null where there is no gate
  float bias, eps;

  // Of each of up to `lanes` rows: r, s (1 without a gate), and what the gate multiplies r by, the sum of v w x.
  struct Scales {
    Vec inverse, gate, dot;
  };

  Scales scales(const float* x, int64_t rows) const {
    alignas(64) float squares[lanes]{}, dots[lanes]{};
    for (int64_t r = 0; r < rows; ++r, x += width) {
      Vec square, dot;
      for_vectors(width, [&](int64_t c, auto n) {
        const Vec value = Vec::loadu(x + c, n);
        square = at::vec::fmadd(value, value, square);
        if (gate) dot = at::vec::fmadd(value * Vec::loadu(weight + c, n), Vec::loadu(gate + c, n), dot);
      });
      squares[r] = sum_of_lanes(square);
      if (gate) dots[r] = sum_of_lanes(dot);
    }
    const Vec mean = Vec::loadu(squares) * Vec(1.0f / static_cast<float>(width));
    const Vec inverse = Vec(1.0f) / (mean + Vec(eps)).sqrt(), dot = Vec::loadu(dots);
    return {inverse, gate ? sigmoid(at::vec::fmadd(inverse, dot, Vec(bias))) : Vec(1.0f), dot};
  }

  // Up to `lanes` rows.
  void forward(const float* x, int64_t rows, float* y) const {
    const Scales found = scales(x, rows);
    alignas(64) float scale[lanes];
    (found.inverse * found.gate).store(scale);
    for (int64_t r = 0; r < rows; ++r, x += width, y += width) {
      for_vectors(width, [&](int64_t c, auto n) {
        (Vec::loadu(x + c, n) * Vec(scale[r]) * Vec::loadu(weight + c, n)).store(y + c, n);
      });
    }
  }

  // The gradient of up to `lanes` rows, and what they add to `sums`: of w where s is held, of the products v w,
  // [2 width], and of the bias. By the chain rule through log(r s): with z the gate's argument, ds = s (1 - s) dz and
  // dr = -r^3 x dx / width.
  void backward(const float* gradient, const float* x, int64_t rows, float* x_gradient, float* sums) const {
    const Scales found = scales(x, rows);
    alignas(64) float products[lanes]{};
    for (int64_t r = 0; r < rows; ++r) {
      const float *const g = gradient + r * width, *const from = x + r * width;
      Vec product;
      for_vectors(width, [&](int64_t c, auto n) {
        const Vec weighted = Vec::loadu(g + c, n) * Vec::loadu(weight + c, n);
        product = at::vec::fmadd(weighted, Vec::loadu(from + c, n), product);
      });
      products[r] = sum_of_lanes(product);
    }
    const Vec scale = found.inverse * found.gate, of_log = Vec::loadu(products) * scale;  // of log(r s)
    const Vec of_z = of_log * (Vec(1.0f) - found.gate), of_dot = of_z * found.inverse;
    const Vec slope = at::vec::fmadd(of_dot, found.dot, of_log) * found.inverse * found.inverse;
    alignas(64) float scales[lanes], slopes[lanes], dots[lanes];
    scale.store(scales);
    (slope * Vec(-1.0f / static_cast<float>(width))).store(slopes);
    of_dot.store(dots);
    for_vectors(width, [&](int64_t c, auto n) {  // columns first: their sums stay in registers
      const Vec by_weight = Vec::loadu(weight + c, n), by_gate = gate ? Vec::loadu(gate + c, n) : Vec(0.0f);
      Vec direct = Vec::loadu(sums + c, n), product = Vec::loadu(sums + width + c, n);
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t at = r * width + c;
        const Vec g = Vec::loadu(gradient + at, n) * Vec(scales[r]), value = Vec::loadu(x + at, n);
        direct = at::vec::fmadd(g, value, direct);
        product = at::vec::fmadd(value, Vec(dots[r]), product);
        const Vec inner = at::vec::fmadd(Vec(dots[r]), by_gate, g);
        at::vec::fmadd(inner, by_weight, value * Vec(slopes[r])).store(x_gradient + at, n);
      }
      direct.store(sums + c, n);
      product.store(sums + width + c, n);
    });
    sums[2 * width] += sum_of_lanes(of_z);
  }
};

}  // namespace mta
