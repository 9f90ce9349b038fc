// Registers: the width of a vector, the size of a register tile, and loops over tiles.
#pragma once

#include <ATen/cpu/vec/functional.h>
#include <ATen/cpu/vec/vec.h>

#include <algorithm>
#include <cstdint>
#include <type_traits>

#define MTA_UNROLL _Pragma("GCC unroll 16")
// Inner loops stay functions of their own: inlined into the walks over blocks, they lose registers to them.
#define MTA_KERNEL __attribute__((noinline)) inline

namespace mta {

using Vec = at::vec::Vectorized<float>;

constexpr int64_t lanes = Vec::size();
constexpr int64_t row_tile = 8;  // rows of a register tile

// Vectors side by side in a register tile: 8 x 2 sums and their operands fill the 32 registers of AVX-512,
// 8 x 1 the 16 of AVX2.
#if defined(CPU_CAPABILITY_AVX512)
constexpr int tile_vectors = 2;
#else
constexpr int tile_vectors = 1;
#endif
constexpr int64_t column_tile = lanes * tile_vectors;

// Widths of rows are multiples of this.
constexpr int64_t column_step = std::max(lanes, row_tile);

constexpr int64_t round_up(int64_t value, int64_t step) {
  return (value + step - 1) / step * step;
}

// Calls f(number of vectors, first column) for register tiles that cover `width` columns.
template <typename F>
inline void for_tiles(int64_t width, const F& f) {
  int64_t column = 0;
  for (; column + column_tile <= width; column += column_tile) {
    f(std::integral_constant<int, tile_vectors>{}, column);
  }
  for (; column < width; column += lanes) {
    f(std::integral_constant<int, 1>{}, column);
  }
}

inline float sum_of_lanes(const Vec& x) {
  return at::vec::vec_reduce_all<float>([](Vec& a, Vec& b) { return a + b; }, x);
}

inline float max_of_lanes(const Vec& x) {
  return at::vec::vec_reduce_all<float>([](Vec& a, Vec& b) { return at::vec::maximum(a, b); }, x);
}

}  // namespace mta
