// Head mixing on rows of a group's maps, a small matrix times the heads' values at each place, and its gradients.
#pragma once

#include <array>
#include <utility>

#include "vector.h"

namespace mta {

// Rows of the maps of several heads.
struct Heads {
  float* first;
  int64_t head_pitch, row_pitch;

  float* at(int64_t head, int64_t row) const { return first + head * head_pitch + row * row_pitch; }
};

// out[o][r][j] = sum over h < group of matrix[o * by_out + h * by_in] in[h][r][j] for `outs` heads o, r < rows and
// j < width.
template <int outs>
void mix_chunk(
    Heads in, const float* matrix, int64_t by_out, int64_t by_in, int64_t group, Heads out, int64_t rows,
    int64_t width) {
  for (int64_t r = 0; r < rows; ++r) {
    for_tiles(width, [&](auto vectors, int64_t column) {
      Vec sum[outs][vectors];
      const float* source = in.at(0, r) + column;
      for (int64_t h = 0; h < group; ++h, source += in.head_pitch) {
        Vec x[vectors];
        MTA_UNROLL for (int v = 0; v < vectors; ++v) x[v] = Vec::loadu(source + v * lanes);
        MTA_UNROLL for (int o = 0; o < outs; ++o) {
          const Vec m(matrix[o * by_out + h * by_in]);
          MTA_UNROLL for (int v = 0; v < vectors; ++v) sum[o][v] = at::vec::fmadd(m, x[v], sum[o][v]);
        }
      }
      MTA_UNROLL for (int o = 0; o < outs; ++o) {
        MTA_UNROLL for (int v = 0; v < vectors; ++v) sum[o][v].store(out.at(o, r) + column + v * lanes);
      }
    });
  }
}

template <int... n>
constexpr auto mixes(std::integer_sequence<int, n...>) {
  return std::array{mix_chunk<n + 1>...};
}

// out[o][r][j] = sum over h of matrix[o * by_out + h * by_in] in[h][r][j] for a row tile r and j < width. `out` may
// be `in`; `copy` has room for a row of the group's heads.
MTA_KERNEL void mix_row_tile(
    Heads in, const float* matrix, int64_t by_out, int64_t by_in, int64_t group, Heads out, int64_t width,
    float* copy) {
  static constexpr auto by_outs = mixes(std::make_integer_sequence<int, row_tile>{});
  if (group <= row_tile) return by_outs[group - 1](in, matrix, by_out, by_in, group, out, row_tile, width);
  for (int64_t r = 0; r < row_tile; ++r) {  // which each chunk reads anew
    Heads row{in.at(0, r), in.head_pitch, 0};
    if (in.first == out.first) {
      for (int64_t h = 0; h < group; ++h) std::copy_n(in.at(h, r), width, copy + h * width);
      row = {copy, width, 0};
    }
    for (int64_t o = 0; o < group; o += row_tile) {
      const Heads to{out.at(o, r), out.head_pitch, 0};
      by_outs[std::min(row_tile, group - o) - 1](row, matrix + o * by_out, by_out, by_in, group, to, 1, width);
    }
  }
}

// sums[o][h] += g[o][r][j] x[h][r][j] over a row tile r and j < width, lane by lane, for outs x ins heads.
template <int outs, int ins>
void mix_sums(Heads g, Heads x, int64_t width, Vec* sums, int64_t group) {
  Vec sum[outs][ins];
  MTA_UNROLL for (int o = 0; o < outs; ++o) {
    MTA_UNROLL for (int h = 0; h < ins; ++h) sum[o][h] = sums[o * group + h];
  }
  for (int64_t r = 0; r < row_tile; ++r) {
    const float *gradients = g.at(0, r), *sources = x.at(0, r);
    for (int64_t j = 0; j < width; j += lanes) {
      Vec gradient[outs];
      MTA_UNROLL for (int o = 0; o < outs; ++o) gradient[o] = Vec::loadu(gradients + o * g.head_pitch + j);
      MTA_UNROLL for (int h = 0; h < ins; ++h) {
        const Vec source = Vec::loadu(sources + h * x.head_pitch + j);
        MTA_UNROLL for (int o = 0; o < outs; ++o) sum[o][h] = at::vec::fmadd(gradient[o], source, sum[o][h]);
      }
    }
  }
  MTA_UNROLL for (int o = 0; o < outs; ++o) {
    MTA_UNROLL for (int h = 0; h < ins; ++h) sums[o * group + h] = sum[o][h];
  }
}

constexpr int64_t corner = 4;  // heads by heads of a register tile

template <int... n>
constexpr auto mix_gradients(std::integer_sequence<int, n...>) {
  return std::array{mix_sums<n / corner + 1, n % corner + 1>...};
}

// sums[o][h] += g[o][r][j] x[h][r][j] over a row tile r and j < width, lane by lane, for all heads of a group.
inline void mix_gradient(Heads g, Heads x, int64_t group, int64_t width, Vec* sums) {
  static constexpr auto by_size = mix_gradients(std::make_integer_sequence<int, corner * corner>{});
  for (int64_t o = 0; o < group; o += corner) {
    const int64_t outs = std::min(corner, group - o);
    for (int64_t h = 0; h < group; h += corner) {
      const int64_t ins = std::min(corner, group - h);
      const Heads from{g.at(o, 0), g.head_pitch, g.row_pitch}, to{x.at(h, 0), x.head_pitch, x.row_pitch};
      by_size[(outs - 1) * corner + ins - 1](from, to, width, sums + o * group + h, group);
    }
  }
}

}  // namespace mta
