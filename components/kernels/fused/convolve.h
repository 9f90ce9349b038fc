// The key-query convolution and its gradients on one strip of rows, blocked in registers.
//
// All three are correlations with taps w[t][a]: row offset a < c_q, column offset t < c_k. Taps lie in chunks of at
// most 8 row offsets, each chunk as [t][a], so that a chunk's weights for one t fit into registers.
//
// Where registers allow it, a chunk of even height takes pairs of rows by the fast FIR algorithm (Mou and Duhamel, 1991),
// in three products where there were four. Of rows x0, x1, x2 and taps w0, w1 it makes
//   y0 = w0 x0 + w1 x1 = w0 (x0 - x1) + (w0 + w1) x1
//   y1 = w0 x1 + w1 x2 = w1 (x2 - x1) + (w0 + w1) x1
// and likewise the gradients of w0 and w1. Behind a chunk's n taps of one t lie their n / 2 sums in pairs.
#pragma once

#include <array>
#include <utility>

#include "vector.h"

namespace mta {

constexpr int64_t chunk = 8;

// Whether a chunk of n row offsets takes rows in pairs. Lower ones would load more than they multiply.
constexpr bool in_pairs(int64_t n) {
  return wide > 1 && (n == 6 || n == 8);
}

// Numbers that stand for a chunk's taps of one column offset.
constexpr int64_t stored(int64_t n) {
  return in_pairs(n) ? n + n / 2 : n;
}

// out[r][j] (+)= sum over a < n, t < c_k of w[t][a] in[r + a][j + t].
template <int n>
void correlate_chunk(
    const float* in, int64_t in_pitch, const float* taps, int64_t c_k, float* out, int64_t out_pitch, int64_t width,
    bool add) {
  for_tiles(width, [&](auto vectors, int64_t column) {
    Vec sum[strip][vectors];
    if (add) {
      MTA_UNROLL for (int r = 0; r < strip; ++r) {
        MTA_UNROLL for (int v = 0; v < vectors; ++v) sum[r][v] = Vec::loadu(out + r * out_pitch + column + v * lanes);
      }
    }
    for (int64_t t = 0; t < c_k; ++t) {
      Vec weight[n];
      MTA_UNROLL for (int a = 0; a < n; ++a) weight[a] = Vec(taps[t * n + a]);
      const float* source = in + column + t;
      MTA_UNROLL for (int row = 0; row < strip + n - 1; ++row) {
        Vec x[vectors];
        MTA_UNROLL for (int v = 0; v < vectors; ++v) x[v] = Vec::loadu(source + row * in_pitch + v * lanes);
        MTA_UNROLL for (int a = 0; a < n; ++a) {
          const int r = row - a;
          if (r >= 0 && r < strip) {
            MTA_UNROLL for (int v = 0; v < vectors; ++v) sum[r][v] = at::vec::fmadd(weight[a], x[v], sum[r][v]);
          }
        }
      }
    }
    MTA_UNROLL for (int r = 0; r < strip; ++r) {
      MTA_UNROLL for (int v = 0; v < vectors; ++v) sum[r][v].store(out + r * out_pitch + column + v * lanes);
    }
  });
}

// The same for an even n, in pairs of rows.
template <int n>
void correlate_pairs(
    const float* in, int64_t in_pitch, const float* taps, int64_t c_k, float* out, int64_t out_pitch, int64_t width,
    bool add) {
  constexpr int pairs = strip / 2, half = n / 2;
  for (int64_t column = 0; column < width; column += lanes) {
    Vec first[pairs], second[pairs], both[pairs];
    for (int64_t t = 0; t < c_k; ++t) {
      Vec weight[stored(n)];
      MTA_UNROLL for (int a = 0; a < stored(n); ++a) weight[a] = Vec(taps[t * stored(n) + a]);
      const float* source = in + column + t;
      Vec x0 = Vec::loadu(source);
      MTA_UNROLL for (int pair = 0; pair < pairs + half - 1; ++pair) {
        const Vec x1 = Vec::loadu(source + (2 * pair + 1) * in_pitch);
        const Vec x2 = Vec::loadu(source + (2 * pair + 2) * in_pitch);
        const Vec before = x0 - x1, behind = x2 - x1;
        MTA_UNROLL for (int a = 0; a < half; ++a) {
          const int p = pair - a;
          if (p >= 0 && p < pairs) {
            first[p] = at::vec::fmadd(weight[2 * a], before, first[p]);
            second[p] = at::vec::fmadd(weight[2 * a + 1], behind, second[p]);
            both[p] = at::vec::fmadd(weight[n + a], x1, both[p]);
          }
        }
        x0 = x2;
      }
    }
    MTA_UNROLL for (int p = 0; p < pairs; ++p) {
      float *const y0 = out + 2 * p * out_pitch + column, *const y1 = y0 + out_pitch;
      first[p] = first[p] + both[p];
      second[p] = second[p] + both[p];
      (add ? Vec::loadu(y0) + first[p] : first[p]).store(y0);
      (add ? Vec::loadu(y1) + second[p] : second[p]).store(y1);
    }
  }
}

// sums[t][a] += x[r][j] g[r + a][j + t] over a strip of rows and j < width, for `taps` values of t, lane by lane.
template <int n, int taps>
inline void tap_sums(
    const float* x, int64_t x_pitch, const float* g, int64_t g_pitch, int64_t width, Vec* sums) {
  Vec sum[taps][n];
  MTA_UNROLL for (int t = 0; t < taps; ++t) {
    MTA_UNROLL for (int a = 0; a < n; ++a) sum[t][a] = sums[t * n + a];
  }
  for (int64_t j = 0; j < width; j += lanes) {
    Vec source[strip];
    MTA_UNROLL for (int r = 0; r < strip; ++r) source[r] = Vec::loadu(x + r * x_pitch + j);
    MTA_UNROLL for (int row = 0; row < strip + n - 1; ++row) {
      MTA_UNROLL for (int t = 0; t < taps; ++t) {
        const Vec gradient = Vec::loadu(g + row * g_pitch + j + t);
        MTA_UNROLL for (int a = 0; a < n; ++a) {
          const int r = row - a;
          if (r >= 0 && r < strip) sum[t][a] = at::vec::fmadd(source[r], gradient, sum[t][a]);
        }
      }
    }
  }
  MTA_UNROLL for (int t = 0; t < taps; ++t) {
    MTA_UNROLL for (int a = 0; a < n; ++a) sums[t * n + a] = sum[t][a];
  }
}

// The same for one t and an even n, in pairs of rows; what belongs to both taps of a pair is added to their sum.
template <int n, int rows>
inline void pair_sums(const float* x, int64_t x_pitch, const float* g, int64_t g_pitch, int64_t width, Vec* sums) {
  constexpr int pairs = rows / 2, half = n / 2;
  Vec sum[stored(n)];
  MTA_UNROLL for (int a = 0; a < stored(n); ++a) sum[a] = sums[a];
  for (int64_t j = 0; j < width; j += lanes) {
    Vec x0[pairs], x1[pairs], both[pairs];
    Vec g0 = Vec::loadu(g + j);
    MTA_UNROLL for (int pair = 0; pair < pairs + half - 1; ++pair) {
      if (pair < pairs) {
        x0[pair] = Vec::loadu(x + 2 * pair * x_pitch + j);
        x1[pair] = Vec::loadu(x + (2 * pair + 1) * x_pitch + j);
        both[pair] = x0[pair] + x1[pair];
      }
      const Vec g1 = Vec::loadu(g + (2 * pair + 1) * g_pitch + j);
      const Vec g2 = Vec::loadu(g + (2 * pair + 2) * g_pitch + j);
      const Vec before = g0 - g1, behind = g2 - g1;
      MTA_UNROLL for (int a = 0; a < half; ++a) {
        const int p = pair - a;
        if (p >= 0 && p < pairs) {
          sum[2 * a] = at::vec::fmadd(x0[p], before, sum[2 * a]);
          sum[2 * a + 1] = at::vec::fmadd(x1[p], behind, sum[2 * a + 1]);
          sum[n + a] = at::vec::fmadd(both[p], g1, sum[n + a]);
        }
      }
      g0 = g2;
    }
  }
  MTA_UNROLL for (int a = 0; a < stored(n); ++a) sums[a] = sum[a];
}

template <int n>
void tap_gradients_chunk(
    const float* x, int64_t x_pitch, const float* g, int64_t g_pitch, int64_t c_k, int64_t rows, int64_t width,
    Vec* sums) {
  if constexpr (in_pairs(n)) {
    const auto strips = rows == strip ? pair_sums<n, strip> : pair_sums<n, 2 * strip>;
    for (int64_t t = 0; t < c_k; ++t) strips(x, x_pitch, g + t, g_pitch, width, sums + t * stored(n));
    return;
  }
  constexpr int at_once = wide;  // as many taps as registers hold
  for (int64_t r = 0; r < rows; r += strip, x += strip * x_pitch, g += strip * g_pitch) {
    int64_t t = 0;
    for (; t + at_once <= c_k; t += at_once) tap_sums<n, at_once>(x, x_pitch, g + t, g_pitch, width, sums + t * n);
    for (; t < c_k; ++t) tap_sums<n, 1>(x, x_pitch, g + t, g_pitch, width, sums + t * n);
  }
}

template <int n>
constexpr auto correlation() {
  if constexpr (in_pairs(n)) return correlate_pairs<n>;
  return correlate_chunk<n>;
}

template <int... n>
constexpr auto correlations(std::integer_sequence<int, n...>) {
  return std::array{correlation<n + 1>()...};
}

template <int... n>
constexpr auto gradients(std::integer_sequence<int, n...>) {
  return std::array{tap_gradients_chunk<n + 1>...};
}

// out[r][j] = sum over a < c_q, t < c_k of w[t][a] in[r + a][j + t], for a strip of rows and j < width.
inline void correlate(
    const float* in, int64_t in_pitch, const float* taps, int64_t c_q, int64_t c_k, float* out, int64_t out_pitch,
    int64_t width) {
  static constexpr auto by_rows = correlations(std::make_integer_sequence<int, chunk>{});
  for (int64_t a = 0; a < c_q; a += chunk, taps += stored(chunk) * c_k) {
    by_rows[std::min(chunk, c_q - a) - 1](in + a * in_pitch, in_pitch, taps, c_k, out, out_pitch, width, a > 0);
  }
}

// sums[t][a] += x[r][j] g[r + a][j + t] over one or two strips of rows and j < width, lane by lane, in the order of the
// taps. Two at once load less.
inline void tap_gradients(
    const float* x, int64_t x_pitch, const float* g, int64_t g_pitch, int64_t c_q, int64_t c_k, int64_t rows,
    int64_t width, Vec* sums) {
  static constexpr auto by_rows = gradients(std::make_integer_sequence<int, chunk>{});
  for (int64_t a = 0; a < c_q; a += chunk, sums += stored(chunk) * c_k) {
    by_rows[std::min(chunk, c_q - a) - 1](x, x_pitch, g + a * g_pitch, g_pitch, c_k, rows, width, sums);
  }
}

// Where the numbers of tap (a, t) lie among those of a head's taps, `stored_taps(c_q, c_k)` in all.
struct TapPlace {
  int64_t own;
  int64_t pair;  // of the sum that it is part of, or -1

  TapPlace(int64_t a, int64_t t, int64_t c_q, int64_t c_k) {
    const int64_t n = std::min(chunk, c_q - a / chunk * chunk), first = a / chunk * stored(chunk) * c_k + t * stored(n);
    own = first + a % chunk;
    pair = in_pairs(n) ? first + n + a % chunk / 2 : -1;
  }
};

constexpr int64_t stored_taps(int64_t c_q, int64_t c_k) {
  return (c_q / chunk * stored(chunk) + stored(c_q % chunk)) * c_k;
}

}  // namespace mta
