// The gradients of a head group, a block of queries at a time, from the last block to the first.
#pragma once

#include "forward.h"

namespace mta {

// A walk over blocks of queries from last to first: each block's maps are computed anew.
class Backward : public Forward {
 public:
  Backward(const Plan& plan, const Operands& operands, const Keys& keys, Workspace& space, int64_t batch, int64_t head)
      : Forward(plan, operands, keys, space, batch, head) {
    for (auto& sums : space.sums) std::fill(sums.begin(), sums.end(), Vec(0.0f));
    clear_carried();
  }

  // Takes the memory for the gradients of keys and values: the walk's last block, its first to be walked, sets those of
  // all keys that the walk sees, and the others add to them.
  void add_to(const KeySums& sums) { key_sums_ = sums; }

  // Forward again, and all gradients. With `warm_up`, only as far as the blocks before this one need it: nothing is
  // added to any result. `follows` says that the maps hold the block right behind. `query_gradient` is [batch, padded,
  // heads, depth].
  void backward(int64_t first, int64_t rows, bool follows, bool warm_up, float* query_gradient) {
    carry(rows);
    forward(first, rows, follows ? Known::behind : Known::nothing);
    for (int64_t h = 0; h < plan_.head_group; ++h) {
      pack_rows(operands_.output_gradient, h, first, rows, 1.0f, space_.output_gradient);
      if (!warm_up) add_outer(space_.maps[plan_.last()], h, output_gradient_row(h, 0), 0, key_sums_.value);
      for (int64_t r = 0; r < rows; r += row_tile) multiply_values(h, r);
    }
    for (int64_t r = rows - row_tile; r >= 0; r -= row_tile) {
      for (int64_t m = plan_.last(); m >= 0; --m) {
        if (m == plan_.softmax) softmax_gradient(r);
        if (m > 0) apply_gradient(m - 1, r, warm_up);
      }
    }
    if (warm_up) return;
    const Map& logits_gradient = gradient_of(0);
    for (int64_t h = 0; h < plan_.head_group; ++h) {
      for (int64_t r = 0; r < rows; r += row_tile) {
        rows_by_rows(
            logits_gradient.row(h, r), logits_gradient.pitch(), keys_.key_rows + h * plan_.columns * plan_.depth,
            plan_.depth, query_gradient + token_major(h, first_ + r), plan_.heads * plan_.depth,
            width(r, plan_.lookahead[0]), plan_.scale());
      }
      add_outer(logits_gradient, h, query_row(h, 0), plan_.lookahead[0], key_sums_.key);
    }
    summed_ = true;
  }

  // Adds the lanes of stage s's weight gradient, in the order of its weights; returns the end of what was written.
  float* gather(int64_t s, float* out) const {
    const Stage& stage = plan_.stages[s];
    const Vec* sums = space_.sums[s].data();
    for (int64_t h = 0; h < plan_.head_group; ++h, sums += stage.weights_per_head()) {
      for (int64_t w = 0; w < stage.weights_per_head(); ++w) {
        if (!stage.convolves()) {
          *out++ = sum_of_lanes(sums[w]);
          continue;
        }
        *out++ = sum_of_lanes(sums[tap_index(w / stage.c_k, w % stage.c_k, stage.c_q, stage.c_k)]);
      }
    }
    return out;
  }

 private:
  KeySums key_sums_;
  bool summed_ = false;  // true once they hold a block's

  const Map& gradient_of(int64_t map) const { return space_.maps[plan_.alias[map]]; }
  const float* output_gradient_row(int64_t h, int64_t r) const {
    return space_.output_gradient + (h * rows_ + r) * plan_.depth;
  }

  // The gradient of the weights.
  void multiply_values(int64_t h, int64_t r) const {
    const Map& gradient = gradient_of(plan_.last());
    rows_by_panels(
        output_gradient_row(h, r), plan_.depth, keys_.value_panels + h * plan_.columns * plan_.width, plan_.width,
        gradient.row(h, r), gradient.pitch(), width(r, 0));
    clear_right(gradient, plan_.last(), h, r, 0, plan_.convolves_before(plan_.last()));
  }

  // Makes a row tile of the gradient of map s of that of map s + 1, and adds to that of the stage's weight.
  void apply_gradient(int64_t s, int64_t r, bool warm_up) {
    const Stage& stage = plan_.stages[s];
    const Map &in = space_.maps[s], &gradient = gradient_of(s + 1), &in_gradient = gradient_of(s);
    if (stage.kind == Stage::Kind::mix) {
      if (!warm_up) add_mix_gradient(s, gradient, in, r);
      mix(s, gradient, in_gradient, r, 1, stage.group);
      return;
    }
    if (!warm_up && stage.convolves()) add_tap_gradients(s, r);
    for (int64_t h = 0; h < plan_.head_group; ++h) {
      if (stage.kind == Stage::Kind::drop) {
        drop(gradient, in_gradient, h, r);
        continue;
      }
      correlate(
          gradient.row(h, r) - stage.after(), gradient.pitch(), taps(stage, stage.adjoint, h), stage.c_q, stage.c_k,
          in_gradient.row(h, r), in_gradient.pitch(), width(r, 0));
      clear_right(in_gradient, s, h, r, 0, plan_.convolves_before(s));
      if (stage.exact) band_gradient(s, h, r, warm_up);
    }
  }

  void add_tap_gradients(int64_t s, int64_t r) {
    const Stage& stage = plan_.stages[s];
    const Map &in = space_.maps[s], &gradient = gradient_of(s + 1);
    for (int64_t h = 0; h < plan_.head_group; ++h) {
      tap_gradients(
          in.row(h, r), in.pitch(), gradient.row(h, r) - stage.after(), gradient.pitch(), stage.c_q, stage.c_k,
          width(r, 0), space_.sums[s].data() + h * stage.weights_per_head());
    }
  }

  void add_mix_gradient(int64_t s, const Map& gradient, const Map& in, int64_t r) {
    const int64_t group = plan_.stages[s].group;
    for (int64_t h = 0; h < plan_.head_group; h += group) {
      mix_gradient(
          gradient.heads(h, r), in.heads(h, r), group, width(r, plan_.lookahead[s + 1]),
          space_.sums[s].data() + h * group);
    }
  }

  void softmax_gradient(int64_t r) const {
    const Map &weights = space_.maps[plan_.softmax], &gradient = gradient_of(plan_.softmax);
    for (int64_t h = 0; h < plan_.head_group; ++h) {
      for (int64_t k = r; k < r + row_tile; ++k)
        softmax_gradient_row(weights.row(h, k), gradient.row(h, k), first_ + k + 1);
    }
  }

  // sums[j] += sum over the block's queries of map[query][j] rows[query], for each key j of a head.
  void add_outer(const Map& map, int64_t h, const float* rows, int64_t lookahead, float* sums) const {
    float* const out = sums + h * plan_.columns * plan_.depth;
    for (int64_t j = 0; j < first_ + rows_ + lookahead; j += row_tile) {
      columns_by_rows(
          map.row(h, 0) + j, map.pitch(), rows, plan_.depth, out + j * plan_.depth,
          std::max<int64_t>(0, j - first_ - lookahead), rows_, summed_);
    }
  }

  // Forgets gradients that another walk left for blocks before its own.
  void clear_carried() {
    for (int64_t s = 0; s < plan_.last(); ++s) {
      const Map& gradient = gradient_of(s + 1);
      for (int64_t h = 0; h < plan_.head_group; ++h) {
        for (int64_t r = 0; r < plan_.stages[s].c_q - 1; ++r) {
          std::fill_n(gradient.row(h, r) - gradient.margin(), gradient.pitch(), 0.0f);
        }
      }
    }
  }

  // Moves the first rows of the gradients that the block behind left, to behind those of a block of `rows`.
  void carry(int64_t rows) {
    for (int64_t s = 0; s < plan_.last(); ++s) {
      const Map& gradient = gradient_of(s + 1);
      for (int64_t h = 0; h < plan_.head_group; ++h) {
        for (int64_t r = plan_.stages[s].c_q - 2; r >= 0; --r) {
          std::copy_n(
              gradient.row(h, r) - gradient.margin(), gradient.pitch(), gradient.row(h, rows + r) - gradient.margin());
        }
      }
    }
  }

  void band_gradient(int64_t s, int64_t h, int64_t r, bool warm_up) {
    const Stage& stage = plan_.stages[s];
    const Map &gradient = gradient_of(s + 1), &in_gradient = gradient_of(s);
    const float* weight = stage.weight.data() + (head_ + h) * stage.weights_per_head();
    Vec* sums = space_.sums[s].data() + h * stage.weights_per_head();
    for (int64_t k = r; k < r + row_tile; ++k) {
      const float* logits = band(s, h, k);
      for_band(plan_.lookahead[s], [&](int64_t a, int64_t x) {
        const int64_t key = first_ + k + 1 + x;
        const float* source = gradient.row(h, k + a) + key - stage.after();
        float sum = 0.0f;
        for (int64_t b = 0; b < stage.c_k; ++b) {
          sum += weight[a * stage.c_k + b] * source[b];
          if (!warm_up) {
            Vec& total = sums[tap_index(a, b, stage.c_q, stage.c_k)];
            total = total + Vec::set(Vec(0.0f), Vec(logits[x] * source[b]), 1);
          }
        }
        in_gradient.row(h, k)[key] += sum;
      });
    }
  }
};

}  // namespace mta
