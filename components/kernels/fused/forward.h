// The maps of one unit's heads, a block of queries at a time.
#pragma once

#include "matmul.h"
#include "mix.h"
#include "softmax.h"
#include "workspace.h"

namespace mta {

// A walk over blocks of queries from first to last, or, as the start of a backward walk, in any order.
class Forward {
 public:
  Forward(
      const Plan& plan, const Operands& operands, const Keys& keys, Workspace& space, int64_t batch, int64_t head)
      : plan_(plan), operands_(operands), keys_(keys), space_(space), batch_(batch), head_(head) {}

  // Makes all maps of queries first .. first + rows - 1. A row of a map is zero right of its query's key. `follows`
  // says that the maps hold the block right before.
  void forward(int64_t first, int64_t rows, bool follows) {
    if (follows) keep_halo();
    first_ = first;
    rows_ = rows;
    follows_ = follows;
    for (int64_t h = 0; h < plan_.unit; ++h) {
      pack_rows(operands_.query, h, first - plan_.halo[0], first + rows, plan_.scale(), space_.query);
    }
    const Map& logits = space_.maps[0];
    for_strips(above(0), [&](int64_t h, int64_t r) {
      rows_by_panels(
          query_row(h, r), plan_.depth, keys_.key_panels.data() + h * plan_.columns * plan_.width, plan_.width,
          logits.row(h, r), logits.pitch(), width(r, plan_.beyond[0]));
      clear_right(logits, h, r, plan_.beyond[0]);
    }, &logits);
    for (int64_t s = 0; s < plan_.last(); ++s) {
      if (s == plan_.softmax) softmax();
      apply(s);
    }
    if (plan_.softmax == plan_.last()) softmax();
  }

  // output = weights times values; `output` is [batch, padded, heads, depth].
  void weigh(float* output) const {
    const Map& weights = space_.maps.back();
    for_strips(0, [&](int64_t h, int64_t r) {
      rows_by_rows(
          weights.row(h, r), weights.pitch(), keys_.value_rows.data() + h * plan_.columns * plan_.depth, plan_.depth,
          output + token_major(h, first_ + r), plan_.heads * plan_.depth, width(r, 0), 1.0f);
    });
  }

 protected:
  // Packs queries first .. end - 1 of a head of the unit.
  void pack_rows(
      const Strided& from, int64_t h, int64_t first, int64_t end, float scale, std::vector<float>& rows) const {
    float* const to = rows.data() + h * static_cast<int64_t>(rows.size()) / plan_.unit;
    Keys::pack_rows(plan_, from, batch_, head_ + h, first, end - first, scale, to);
  }

  const float* query_row(int64_t h, int64_t r) const {
    return space_.query.data() + (h * (plan_.halo[0] + plan_.rows) + plan_.halo[0] + r) * plan_.depth;
  }
  // Where a query's channels lie in a tensor [batch, padded, heads, depth].
  int64_t token_major(int64_t h, int64_t query) const {
    return ((batch_ * plan_.padded + query) * plan_.heads + head_ + h) * plan_.depth;
  }
  // Rows above the block that are still to be computed.
  int64_t above(int64_t map) const { return follows_ ? 0 : plan_.halo[map]; }
  // Columns that a strip of rows computes.
  int64_t width(int64_t r, int64_t beyond) const {
    return round_up(first_ + r + strip + beyond, column_step);
  }

  // Calls f(head, row) for each strip of rows from `above` the block on; rows of a map before query 0 are zero.
  template <typename F>
  void for_strips(int64_t above, const F& f, const Map* map = nullptr) const {
    for (int64_t h = 0; h < plan_.unit; ++h) {
      for (int64_t r = -above; r < rows_; r += strip) {
        if (first_ + r >= 0) {
          f(h, r);
        } else {
          for (int64_t k = r; k < r + strip; ++k) std::fill_n(map->row(h, k), column_step + plan_.margin, 0.0f);
        }
      }
    }
  }

  // Zeros right of what a strip's queries see, as far as a convolution of a later strip may read.
  void clear_right(const Map& map, int64_t h, int64_t r, int64_t beyond) const {
    const int64_t end = width(r, beyond) + plan_.margin;
    for (int64_t k = r; k < r + strip; ++k) {
      std::fill(map.row(h, k) + first_ + k + 1 + beyond, map.row(h, k) + end, 0.0f);
    }
  }

  void apply(int64_t s) {
    const Stage& stage = plan_.stages[s];
    const Map &in = space_.maps[s], &out = space_.maps[s + 1];
    const int64_t beyond = plan_.beyond[s + 1];
    if (stage.exact) set_band_aside(s);
    switch (stage.kind) {
      case Stage::Kind::convolve:
        for_strips(above(s + 1), [&](int64_t h, int64_t r) {
          correlate(
              in.row(h, r - stage.c_q + 1) - stage.before(), in.pitch(), taps(stage, stage.forward, h), stage.c_q,
              stage.c_k, out.row(h, r), out.pitch(), width(r, 0));
          if (stage.exact) add_band(s, h, r);
          clear_right(out, h, r, 0);
        }, &out);
        break;
      case Stage::Kind::mix:
        mix(s, in, out, above(s + 1), stage.group, 1);
        for_strips(above(s + 1), [&](int64_t h, int64_t r) { clear_right(out, h, r, beyond); }, &out);
        break;
      case Stage::Kind::drop:
        for_strips(0, [&](int64_t h, int64_t r) {
          for (int64_t k = r; k < r + strip; ++k) drop(in.row(h, k), out.row(h, k), h, k);
          clear_right(out, h, r, 0);
        });
    }
  }

  const float* taps(const Stage& stage, const std::vector<float>& packed, int64_t h) const {
    return packed.data() + (head_ + h) * stage.weights_per_head();
  }

  // Mixes all groups of the unit, row by row; `by_out` and `by_in` say which way the matrices are read.
  void mix(int64_t s, const Map& in, const Map& out, int64_t above, int64_t by_out, int64_t by_in) {
    const Stage& stage = plan_.stages[s];
    for (int64_t h = 0; h < plan_.unit; h += stage.group) {
      const float* matrix = stage.weight.data() + (head_ + h) * stage.group;
      for (int64_t r = std::max(-above, -first_); r < rows_; ++r) {
        mix_row(
            in.row(h, r), in.head_pitch(), matrix, by_out, by_in, stage.group, out.row(h, r), out.head_pitch(),
            round_up(first_ + r + 1 + plan_.beyond[s + 1], column_step), space_.mixing.data());
      }
    }
  }

  void softmax() {
    const Map& map = space_.maps[plan_.softmax];
    for (int64_t h = 0; h < plan_.unit; ++h) {
      for (int64_t r = std::max(-above(plan_.softmax), -first_); r < rows_; ++r) {
        softmax_row(map.row(h, r), first_ + r + 1);
      }
    }
  }

  void drop(const float* in, float* out, int64_t h, int64_t r) const {
    const uint32_t stream = row_stream(plan_.seed, batch_ * plan_.heads + head_ + h, first_ + r);
    drop_row(in, out, first_ + r + 1, stream, plan_.dropout);
  }

  // Moves the last rows of the maps above the block that follows.
  void keep_halo() {
    for (int64_t m = 0; m <= plan_.last(); ++m) {
      const Map& map = space_.maps[m];
      for (int64_t h = 0; h < plan_.unit; ++h) {
        for (int64_t r = -plan_.halo[m]; r < 0; ++r) {
          std::copy_n(map.row(h, rows_ + r) - map.margin(), map.pitch(), map.row(h, r) - map.margin());
          if (m < plan_.last() && plan_.stages[m].exact) {
            std::copy_n(band(m, h, rows_ + r), plan_.beyond[m], band(m, h, r));
          }
        }
      }
    }
  }

  // Right of the diagonal, an exact convolution reads logits S[i - a, k] with i - a < k <= i. They are set aside, one
  // band of c_q - 1 columns, so that the convolution proper finds zeros there.
  float* band(int64_t s, int64_t h, int64_t r) const {
    const int64_t rows = plan_.halo[s] + plan_.rows;
    return space_.bands[s].data() + (h * rows + r + plan_.halo[s]) * plan_.beyond[s];
  }

  void set_band_aside(int64_t s) {
    const int64_t columns = plan_.beyond[s];
    for (int64_t h = 0; h < plan_.unit; ++h) {
      for (int64_t r = -above(s); r < rows_; ++r) {
        float* kept = band(s, h, r);
        std::fill_n(kept, columns, 0.0f);
        if (first_ + r < 0) continue;
        float* right = space_.maps[s].row(h, r) + first_ + r + 1;
        std::copy_n(right, columns, kept);
        std::fill_n(right, columns, 0.0f);
      }
    }
  }

  // Calls f(a, x) for each a and key k = query + 1 + x right of the diagonal that row query + a may see.
  template <typename F>
  static void for_band(int64_t columns, const F& f) {
    for (int64_t a = 1; a <= columns; ++a) {
      for (int64_t x = 0; x < a; ++x) f(a, x);
    }
  }

  void add_band(int64_t s, int64_t h, int64_t r) {
    const Stage& stage = plan_.stages[s];
    const float* weight = stage.weight.data() + (head_ + h) * stage.weights_per_head();
    for (int64_t k = r; k < r + strip; ++k) {
      float* out = space_.maps[s + 1].row(h, k);
      for_band(plan_.beyond[s], [&](int64_t a, int64_t x) {
        const int64_t key = first_ + k - a + 1 + x;
        const float logit = band(s, h, k - a)[x];
        for (int64_t b = std::max<int64_t>(0, stage.after() - key); b < stage.c_k; ++b) {
          out[key + b - stage.after()] += weight[a * stage.c_k + b] * logit;
        }
      });
    }
  }

  const Plan& plan_;
  const Operands& operands_;
  const Keys& keys_;
  Workspace& space_;
  const int64_t batch_, head_;  // of the unit's first head
  int64_t first_ = 0, rows_ = 0;
  bool follows_ = false;
};

}  // namespace mta
