// What a walk reads and works in: the operands, a unit's keys packed, and a thread's own memory.
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

// The keys and values of a unit, packed for reading many times and padded with zeros: rows [unit, columns, depth] and
// panels [unit, columns / tile, width, tile].
class Keys {
  Arena arena_;

 public:
  float* const key_panels;
  float* const value_rows;  // forward
  float* const key_rows;    // backward
  float* const value_panels;

  Keys(const Plan& plan, bool backward)
      : key_panels(arena_.take(plan.unit * plan.columns * plan.width)),
        value_rows(backward ? nullptr : arena_.take(plan.unit * plan.columns * plan.depth)),
        key_rows(backward ? arena_.take(plan.unit * plan.columns * plan.depth) : nullptr),
        value_panels(backward ? arena_.take(plan.unit * plan.columns * plan.width) : nullptr) {}

  // Packs head h of the unit whose first head is `head`.
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
    for (int64_t first = 0; first < plan.columns; first += tile, to += tile * plan.width) {
      const int there = static_cast<int>(std::clamp<int64_t>(plan.tokens - first, 0, tile));
      if (there < tile) std::fill_n(to, tile * plan.width, 0.0f);
      if (there > 0) {
        at::vec::transpose_mxn<float>(from + first * stride, stride, to, tile, there, static_cast<int>(plan.width));
      }
    }
  }
};

// The gradients of a unit's keys and values, [unit, columns, depth], as one walk adds them up.
struct KeySums {
  float *key = nullptr, *value = nullptr;

  static int64_t size(const Plan& plan) { return plan.unit * plan.columns * plan.depth; }
  static KeySums taken(Arena& arena, const Plan& plan) { return {arena.take(size(plan)), arena.take(size(plan))}; }
};

// What one thread works in.
class Workspace {
  Arena arena_;

 public:
  float* query;            // rows of the block and its halo [unit, halo + rows, depth], scaled by width^-0.5
  float* output_gradient;  // rows of the block [unit, rows, depth]
  KeySums key_sums;        // where a unit has one walk
  float* mixing;
  std::vector<Map> maps;
  std::vector<float*> bands;           // what exact convolutions see right of their input's diagonal
  std::vector<std::vector<Vec>> sums;  // of each stage's weight gradient, lane by lane

  Workspace(const Plan& plan, bool backward) {
    query = arena_.take(plan.unit * (plan.halo[0] + plan.rows) * plan.depth);
    mixing = arena_.take(plan.unit * plan.columns);
    const int64_t rows = plan.rows + (backward ? plan.carried() : 0);
    for (int64_t m = 0; m <= (backward ? plan.place.back() : plan.last()); ++m) {
      maps.emplace_back(arena_, plan.unit, m <= plan.last() ? plan.halo[m] : 0, rows, plan.columns, plan.margin);
    }
    for (int64_t s = 0; s < plan.last(); ++s) {
      bands.push_back(arena_.take(plan.unit * (plan.halo[s] + plan.rows) * plan.beyond[s]));
    }
    if (!backward) return;
    output_gradient = arena_.take(plan.unit * plan.rows * plan.depth);
    if (plan.walks() == 1) key_sums = KeySums::taken(arena_, plan);
    for (const Stage& stage : plan.stages) sums.emplace_back(plan.unit * stage.weights_per_head());
  }
};

}  // namespace mta
