// The key-query convolution and its gradients on one row tile, blocked in registers.
//
// All three are correlations with taps w[t][a]: row offset a < c_q, column offset t < c_k. Taps lie in chunks of at
// most 8 row offsets, each chunk as [t][a], so that a chunk's weights for one t fit into registers.
//
// Every product is made as it is written. Fast FIR algorithms save a quarter of them by differences of neighbouring
// rows, but a small row beside a large one then has the rounding errors of the large one.
#pragma once

#include <array>
#include <utility>

#include "vector.h"

namespace mta {

constexpr int64_t chunk = 8;

// out[r][j] (+)= sum over a < n, t < c_k of w[t][a] in[r + a][j + t].
template <int n>
void correlate_chunk(
    const float* in, int64_t in_pitch, const float* taps, int64_t c_k, float* out, int64_t out_pitch, int64_t width,
    bool add) {
  for_tiles(width, [&](auto vectors, int64_t column) {
    Vec sum[row_tile][vectors];
    if (add) {
      MTA_UNROLL for (int r = 0; r < row_tile; ++r) {
        MTA_UNROLL for (int v = 0; v < vectors; ++v) sum[r][v] = Vec::loadu(out + r * out_pitch + column + v * lanes);
      }
    }
    for (int64_t t = 0; t < c_k; ++t) {
      Vec weight[n];
      MTA_UNROLL for (int a = 0; a < n; ++a) weight[a] = Vec(taps[t * n + a]);
      const float* source = in + column + t;
      MTA_UNROLL for (int row = 0; row < row_tile + n - 1; ++row) {
        Vec x[vectors];
        MTA_UNROLL for (int v = 0; v < vectors; ++v) x[v] = Vec::loadu(source + row * in_pitch + v * lanes);
        MTA_UNROLL for (int a = 0; a < n; ++a) {
          const int r = row - a;
          if (r >= 0 && r < row_tile) {
            MTA_UNROLL for (int v = 0; v < vectors; ++v) sum[r][v] = at::vec::fmadd(weight[a], x[v], sum[r][v]);
          }
        }
      }
    }
    MTA_UNROLL for (int r = 0; r < row_tile; ++r) {
      MTA_UNROLL for (int v = 0; v < vectors; ++v) sum[r][v].store(out + r * out_pitch + column + v * lanes);
    }
  });
}

// sums[t][a] += x[r][j] g[r + a][j + t] over a row tile and j < width, for `taps` values of t, lane by lane.
template <int n, int taps>
inline void tap_sums(const float* x, int64_t x_pitch, const float* g, int64_t g_pitch, int64_t width, Vec* sums) {
  Vec sum[taps][n];
  MTA_UNROLL for (int t = 0; t < taps; ++t) {
    MTA_UNROLL for (int a = 0; a < n; ++a) sum[t][a] = sums[t * n + a];
  }
  for (int64_t j = 0; j < width; j += lanes) {
    Vec source[row_tile];
    MTA_UNROLL for (int r = 0; r < row_tile; ++r) source[r] = Vec::loadu(x + r * x_pitch + j);
    MTA_UNROLL for (int row = 0; row < row_tile + n - 1; ++row) {
      MTA_UNROLL for (int t = 0; t < taps; ++t) {
        const Vec gradient = Vec::loadu(g + row * g_pitch + j + t);
        MTA_UNROLL for (int a = 0; a < n; ++a) {
          const int r = row - a;
          if (r >= 0 && r < row_tile) sum[t][a] = at::vec::fmadd(source[r], gradient, sum[t][a]);
        }
      }
    }
  }
  MTA_UNROLL for (int t = 0; t < taps; ++t) {
    MTA_UNROLL for (int a = 0; a < n; ++a) sums[t * n + a] = sum[t][a];
  }
}

template <int n>
void tap_gradients_chunk(
    const float* x, int64_t x_pitch, const float* g, int64_t g_pitch, int64_t c_k, int64_t width, Vec* sums) {
  constexpr int at_once = tile_vectors;  // as many taps as registers hold
  int64_t t = 0;
  for (; t + at_once <= c_k; t += at_once) tap_sums<n, at_once>(x, x_pitch, g + t, g_pitch, width, sums + t * n);
  for (; t < c_k; ++t) tap_sums<n, 1>(x, x_pitch, g + t, g_pitch, width, sums + t * n);
}

template <int... n>
constexpr auto correlations(std::integer_sequence<int, n...>) {
  return std::array{correlate_chunk<n + 1>...};
}

template <int... n>
constexpr auto gradients(std::integer_sequence<int, n...>) {
  return std::array{tap_gradients_chunk<n + 1>...};
}

// out[r][j] = sum over a < c_q, t < c_k of w[t][a] in[r + a][j + t], for a row tile and j < width.
inline void correlate(
    const float* in, int64_t in_pitch, const float* taps, int64_t c_q, int64_t c_k, float* out, int64_t out_pitch,
    int64_t width) {
  static constexpr auto by_rows = correlations(std::make_integer_sequence<int, chunk>{});
  for (int64_t a = 0; a < c_q; a += chunk, taps += chunk * c_k) {
    by_rows[std::min(chunk, c_q - a) - 1](in + a * in_pitch, in_pitch, taps, c_k, out, out_pitch, width, a > 0);
  }
}

// sums[t][a] += x[r][j] g[r + a][j + t] over a row tile and j < width, lane by lane, in the order of the taps.
inline void tap_gradients(
    const float* x, int64_t x_pitch, const float* g, int64_t g_pitch, int64_t c_q, int64_t c_k, int64_t width,
    Vec* sums) {
  static constexpr auto by_rows = gradients(std::make_integer_sequence<int, chunk>{});
  for (int64_t a = 0; a < c_q; a += chunk, sums += chunk * c_k) {
    by_rows[std::min(chunk, c_q - a) - 1](x, x_pitch, g + a * g_pitch, g_pitch, c_k, width, sums);
  }
}

// The index of tap (a, t) among the c_q c_k of a head.
inline int64_t tap_index(int64_t a, int64_t t, int64_t c_q, int64_t c_k) {
  const int64_t before = a / chunk * chunk;
  return before * c_k + t * std::min(chunk, c_q - before) + a % chunk;
}

}  // namespace mta
