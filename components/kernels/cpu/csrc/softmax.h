// Softmax, its gradient and dropout on one row of a map.
#pragma once

#include <array>
#include <cmath>
#include <limits>

#include "vector.h"

namespace mta {

// A vector that is infinite in its first `count` lanes and minus infinite in the others: the lesser of it and a row's
// last vector has nothing behind the row's end.
inline Vec upper_bound(int64_t count) {
  static constexpr auto bounds = [] {
    std::array<float, 2 * lanes> both{};
    for (int64_t j = 0; j < 2 * lanes; ++j) both[j] = std::numeric_limits<float>::infinity() * (j < lanes ? 1 : -1);
    return both;
  }();
  return Vec::loadu(bounds.data() + lanes - count);
}

// The softmax of the first `visible` values, in place; zero behind them up to the next multiple of `lanes`.
MTA_KERNEL void softmax_row(float* x, int64_t visible) {
  const int64_t last = round_up(visible, lanes) - lanes;
  const Vec end = at::vec::minimum(Vec::loadu(x + last), upper_bound(visible - last));
  Vec largest = end;
  for (int64_t j = 0; j < last; j += lanes) largest = at::vec::maximum(largest, Vec::loadu(x + j));
  const Vec shift(max_of_lanes(largest));
  Vec total = (end - shift).exp_u20();
  total.store(x + last);
  for (int64_t j = 0; j < last; j += lanes) {
    const Vec power = (Vec::loadu(x + j) - shift).exp_u20();
    power.store(x + j);
    total = total + power;
  }
  const Vec share(1.0f / sum_of_lanes(total));
  for (int64_t j = 0; j <= last; j += lanes) (Vec::loadu(x + j) * share).store(x + j);
}

// The mean of a row's gradient, each value less `from`, by the row's weights.
inline float weighted_mean(const float* weights, const float* gradient, int64_t visible, float from) {
  const Vec shift(from);
  Vec total;
  for (int64_t j = 0; j < visible; j += lanes) {
    total = at::vec::fmadd(Vec::loadu(gradient + j) - shift, Vec::loadu(weights + j), total);
  }
  return sum_of_lanes(total);
}

// Turns the gradient of the weights into that of the logits, in place: weights * (gradient - <gradient, weights>).
//
// Where one weight is nearly 1, its gradient and the mean cancel but for their last digits: so the mean is taken twice,
// the second time of what the first left over.
MTA_KERNEL void softmax_gradient_row(const float* weights, float* gradient, int64_t visible) {
  const float first = weighted_mean(weights, gradient, visible, 0.0f);
  const Vec mean(first), rest(weighted_mean(weights, gradient, visible, first));
  for (int64_t j = 0; j < visible; j += lanes) {
    (Vec::loadu(weights + j) * (Vec::loadu(gradient + j) - mean - rest)).store(gradient + j);
  }
}

// A well-mixed 32-bit number for each key of the map's row that `stream` names; `dropout.py` has the same in torch.
inline uint32_t random_bits(uint32_t stream, uint32_t key) {
  uint32_t x = stream ^ (key * 0x9e3779b9u);
  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  return x ^ (x >> 16);
}

// The stream of one row of a sequence: of map `map`, query `query`.
inline uint32_t row_stream(uint64_t seed, uint64_t map, uint64_t query) {
  uint64_t x = seed + (map << 32 | query) * 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return static_cast<uint32_t>(x ^ (x >> 31));
}

// out = in where it is kept, scaled by 1 / (1 - p), and zero elsewhere. `out` may be `in`.
inline void drop_row(const float* in, float* out, int64_t visible, uint32_t stream, double p) {
  const uint32_t threshold = static_cast<uint32_t>(p * 4294967296.0);
  const float scale = static_cast<float>(1.0 / (1.0 - p));
  for (int64_t j = 0; j < visible; ++j) {
    out[j] = random_bits(stream, static_cast<uint32_t>(j)) < threshold ? 0.0f : in[j] * scale;
  }
}

}  // namespace mta
