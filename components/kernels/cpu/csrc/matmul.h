// The three matrix products of attention on one row tile. Pitches are in floats.
#pragma once

#include "vector.h"

namespace mta {

// out[r][j] = sum over c < depth of a[r][c] panels[j / column_tile][c][j % column_tile], for a row tile and j < width:
// queries by keys, and the gradient of the weights.
MTA_KERNEL void rows_by_panels(
    const float* a, int64_t a_pitch, const float* panels, int64_t depth, float* out, int64_t out_pitch, int64_t width) {
  for_tiles(width, [&](auto vectors, int64_t column) {
    const float* panel = panels + column / column_tile * column_tile * depth + column % column_tile;
    Vec sum[row_tile][vectors];
    for (int64_t c = 0; c < depth; ++c) {
      Vec b[vectors];
      MTA_UNROLL for (int v = 0; v < vectors; ++v) b[v] = Vec::loadu(panel + c * column_tile + v * lanes);
      MTA_UNROLL for (int r = 0; r < row_tile; ++r) {
        const Vec x(a[r * a_pitch + c]);
        MTA_UNROLL for (int v = 0; v < vectors; ++v) sum[r][v] = at::vec::fmadd(x, b[v], sum[r][v]);
      }
    }
    MTA_UNROLL for (int r = 0; r < row_tile; ++r) {
      MTA_UNROLL for (int v = 0; v < vectors; ++v) sum[r][v].store(out + r * out_pitch + column + v * lanes);
    }
  });
}

// out[r][c] = scale * sum over j < width of a[r][j] b[j][c], for a row tile and c < depth:
// weights by values, and the gradient of the queries.
MTA_KERNEL void rows_by_rows(
    const float* a, int64_t a_pitch, const float* b, int64_t depth, float* out, int64_t out_pitch, int64_t width,
    float scale) {
  for_tiles(depth, [&](auto vectors, int64_t c) {
    Vec sum[row_tile][vectors];
    for (int64_t j = 0; j < width; ++j) {
      Vec y[vectors];
      MTA_UNROLL for (int v = 0; v < vectors; ++v) y[v] = Vec::loadu(b + j * depth + c + v * lanes);
      MTA_UNROLL for (int r = 0; r < row_tile; ++r) {
        const Vec x(a[r * a_pitch + j]);
        MTA_UNROLL for (int v = 0; v < vectors; ++v) sum[r][v] = at::vec::fmadd(x, y[v], sum[r][v]);
      }
    }
    MTA_UNROLL for (int r = 0; r < row_tile; ++r) {
      MTA_UNROLL for (int v = 0; v < vectors; ++v) {
        (sum[r][v] * Vec(scale)).store(out + r * out_pitch + c + v * lanes);
      }
    }
  });
}

// out[j][c] (+)= sum over first <= r < rows of a[r][j] b[r][c], for row_tile columns j and c < depth:
// the gradients of values and keys.
MTA_KERNEL void columns_by_rows(
    const float* a, int64_t a_pitch, const float* b, int64_t depth, float* out, int64_t first, int64_t rows, bool add) {
  for_tiles(depth, [&](auto vectors, int64_t c) {
    Vec sum[row_tile][vectors];
    if (add) {
      MTA_UNROLL for (int j = 0; j < row_tile; ++j) {
        MTA_UNROLL for (int v = 0; v < vectors; ++v) sum[j][v] = Vec::loadu(out + j * depth + c + v * lanes);
      }
    }
    for (int64_t r = first; r < rows; ++r) {
      Vec y[vectors];
      MTA_UNROLL for (int v = 0; v < vectors; ++v) y[v] = Vec::loadu(b + r * depth + c + v * lanes);
      MTA_UNROLL for (int j = 0; j < row_tile; ++j) {
        const Vec x(a[r * a_pitch + j]);
        MTA_UNROLL for (int v = 0; v < vectors; ++v) sum[j][v] = at::vec::fmadd(x, y[v], sum[j][v]);
      }
    }
    MTA_UNROLL for (int j = 0; j < row_tile; ++j) {
      MTA_UNROLL for (int v = 0; v < vectors; ++v) sum[j][v].store(out + j * depth + c + v * lanes);
    }
  });
}

}  // namespace mta
