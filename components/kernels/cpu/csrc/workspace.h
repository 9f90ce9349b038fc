// The memory of a walk: the operands, a head group's keys packed, and a thread's own memory.
#pragma once

#include "plan.h"

namespace mta {

// A tensor [batch, heads, tokens, width] of floats, its channels side by side.
struct Strided {
  const float* data;
  int64_t batch, head, token;  // strides

  const float* at(int64_t b, int64_t h, int64_t t) const { return data + b * batch + h * head + t * token; }
};

struct Operands {
  Strided query, key, value, output_gradient;
};

// The keys and values of a head group, packed for reading many times and padded with zeros: rows [head_group, columns,
// depth] and panels [head_group, columns / column_tile, width, column_tile].
class Keys {
  Arena arena_;

 public:
  float* const key_panels;
  float* const value_rows;  // forward
  float* const key_rows;    // backward
  float* const value_panels;

  Keys(const Plan& plan, bool backward)
      : key_panels(arena_.take(plan.head_group * plan.columns * plan.width)),
        value_rows(backward ? nullptr : arena_.take(plan.head_group * plan.columns * plan.depth)),
        key_rows(backward ? arena_.take(plan.head_group * plan.columns * plan.depth) : nullptr),
        value_panels(backward ? arena_.take(plan.head_group * plan.columns * plan.width) : nullptr) {}

  // Packs head h of the head group whose first head is `head`.
  void pack(const Plan& plan, const Operands& operands, int64_t batch, int64_t head, int64_t h) {
    const int64_t rows = h * plan.columns * plan.depth, panels = h * plan.columns * plan.width;
    pack_panels(plan, operands.key.at(batch, head + h, 0), operands.key.token, key_panels + panels);
    if (value_panels == nullptr) {
      pack_rows(plan, operands.value, batch, head + h, 0, plan.columns, 1.0f, value_rows + rows);
    } else {
      pack_panels(plan, operands.value.at(batch, head + h, 0), operands.value.token, value_panels + panels);
      pack_rows(plan, operands.key, batch, head + h, 0, plan.columns, 1.0f, key_rows + rows);
    }
  }

  // Tokens first .. first + count - 1 of a head, scaled; zeros where there are none.
  static void pack_rows(
      const Plan& plan, const Strided& from, int64_t batch, int64_t head, int64_t first, int64_t count, float scale,
      float* to) {
    for (int64_t t = first; t < first + count; ++t, to += plan.depth) {
      const int64_t there = 0 <= t && t < plan.tokens ? plan.width : 0;
      const float* const source = from.at(batch, head, t);
      for (int64_t c = 0; c < there; ++c) to[c] = scale * source[c];
      for (int64_t c = there; c < plan.depth; ++c) to[c] = 0.0f;
    }
  }

 private:
  static void pack_panels(const Plan& plan, const float* from, int64_t stride, float* to) {
    for (int64_t first = 0; first < plan.columns; first += column_tile, to += column_tile * plan.width) {
      const int there = static_cast<int>(std::clamp<int64_t>(plan.tokens - first, 0, column_tile));
      if (there < column_tile) std::fill_n(to, column_tile * plan.width, 0.0f);
      if (there > 0) {
        at::vec::transpose_mxn<float>(
            from + first * stride, stride, to, column_tile, there, static_cast<int>(plan.width));
      }
    }
  }
};

// The gradients of a head group's keys and values, [head_group, columns, depth], as one walk adds them up.
struct KeySums {
  float *key = nullptr, *value = nullptr;

  static int64_t size(const Plan& plan) { return plan.head_group * plan.columns * plan.depth; }
  static KeySums taken(Arena& arena, const Plan& plan) { return {arena.take(size(plan)), arena.take(size(plan))}; }
};

// The memory that one thread works in.
class Workspace {
  Arena arena_;

 public:
  float* query;            // rows of the block and its halo [head_group, halo + rows, depth], scaled by width^-0.5
  float* output_gradient;  // rows of the block [head_group, rows, depth]
  KeySums key_sums;        // where a head group has one walk
  float* mixing;
  std::vector<Map> maps;
  std::vector<float*> bands;           // what exact convolutions read right of their input's diagonal
  std::vector<std::vector<Vec>> sums;  // of each stage's weight gradient, lane by lane

  Workspace(const Plan& plan, bool backward) {
    query = arena_.take(plan.head_group * (plan.halo[0] + plan.rows) * plan.depth);
    mixing = arena_.take(plan.head_group * plan.columns);
    const int64_t rows = plan.rows + (backward ? plan.carried() : 0);
    for (int64_t m = 0; m <= (backward ? plan.alias.back() : plan.last()); ++m) {
      maps.emplace_back(arena_, plan.head_group, m <= plan.last() ? plan.halo[m] : 0, rows, plan.columns, plan.margin);
    }
    for (int64_t s = 0; s < plan.last(); ++s) {
      bands.push_back(arena_.take(plan.head_group * (plan.halo[s] + plan.rows) * plan.lookahead[s]));
    }
    if (!backward) return;
    output_gradient = arena_.take(plan.head_group * plan.rows * plan.depth);
    if (plan.walks() == 1) key_sums = KeySums::taken(arena_, plan);
    for (const Stage& stage : plan.stages) sums.emplace_back(plan.head_group * stage.weights_per_head());
  }
};

}  // namespace mta
