// Forward and backward of one unit's heads, a block of queries at a time.
#pragma once

#include <memory>

#include "matmul.h"
#include "mix.h"
#include "plan.h"
#include "softmax.h"

namespace mta {

// A tensor [batch, heads, tokens, width] of floats, its channels side by side.
struct Heads4d {
  const float* data;
  int64_t batch, head, token;  // strides

  const float* at(int64_t b, int64_t h, int64_t t) const { return data + b * batch + h * head + t * token; }
};

struct Operands {
  Heads4d query, key, value, output_gradient;
};

// The keys and values of a unit, packed for reading many times and padded with zeros: rows [unit, columns, depth] and
// panels [unit, columns / tile, width, tile].
struct Keys {
  std::vector<float> key_panels;
  std::vector<float> value_rows;              // forward
  std::vector<float> key_rows, value_panels;  // backward

  Keys(const Plan& plan, bool backward) : key_panels(plan.unit * plan.columns * plan.width) {
    if (backward) {
      key_rows.resize(plan.unit * plan.columns * plan.depth);
      value_panels.resize(plan.unit * plan.columns * plan.width);
    } else {
      value_rows.resize(plan.unit * plan.columns * plan.depth);
    }
  }

  // Packs head h of the unit whose first head is `head`.
  void pack(const Plan& plan, const Operands& operands, int64_t batch, int64_t head, int64_t h) {
    const int64_t rows = h * plan.columns * plan.depth, panels = h * plan.columns * plan.width;
    pack_panels(plan, operands.key.at(batch, head + h, 0), operands.key.token, key_panels.data() + panels);
    if (value_panels.empty()) {
      pack_rows(plan, operands.value, batch, head + h, 0, plan.columns, 1.0f, value_rows.data() + rows);
    } else {
      pack_panels(plan, operands.value.at(batch, head + h, 0), operands.value.token, value_panels.data() + panels);
      pack_rows(plan, operands.key, batch, head + h, 0, plan.columns, 1.0f, key_rows.data() + rows);
    }
  }

  // Tokens first .. first + count - 1 of a head, scaled; zeros where there are none.
  static void pack_rows(
      const Plan& plan, const Heads4d& from, int64_t batch, int64_t head, int64_t first, int64_t count, float scale,
      float* to) {
    for (int64_t t = first; t < first + count; ++t, to += plan.depth) {
      const bool there = 0 <= t && t < plan.tokens;
      if (there) {
        const float* source = from.at(batch, head, t);
        for (int64_t c = 0; c < plan.width; ++c) to[c] = scale * source[c];
      }
      std::fill(to + (there ? plan.width : 0), to + plan.depth, 0.0f);
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

// What one thread works in.
struct Workspace {
  std::vector<float> query, output_gradient;        // rows of the block and its halo; queries scaled by width^-0.5
  std::vector<float> key_gradient, value_gradient;  // [unit, columns, depth]
  std::vector<Map> maps;
  std::vector<std::shared_ptr<Map>> gradients;  // of each map; where a stage works in place, its maps share one
  std::vector<std::vector<float>> bands;        // what exact convolutions see right of their input's diagonal
  std::vector<std::vector<Vec>> sums;           // of each stage's weight gradient, lane by lane
  std::vector<float> mixing;

  Workspace(const Plan& plan, bool backward) : mixing(plan.unit * plan.columns) {
    query.resize(plan.unit * (plan.halo[0] + plan.rows) * plan.depth);
    const auto make_map = [&](int64_t above, int64_t rows) {
      return Map(plan.unit, above, rows, plan.columns, plan.margin);
    };
    for (int64_t m = 0; m <= plan.last(); ++m) maps.push_back(make_map(plan.halo[m], plan.rows));
    for (int64_t s = 0; s < plan.last(); ++s) {
      bands.emplace_back(plan.stages[s].exact ? plan.unit * (plan.halo[s] + plan.rows) * plan.beyond[s] : 0);
    }
    if (!backward) return;
    output_gradient.resize(plan.unit * plan.rows * plan.depth);
    key_gradient.resize(plan.unit * plan.columns * plan.depth);
    value_gradient.resize(key_gradient.size());
    gradients.resize(plan.last() + 1);
    for (int64_t m = plan.last(); m >= 0; --m) {
      const bool in_place = m < plan.last() && !plan.stages[m].convolves();
      gradients[m] = in_place ? gradients[m + 1] : std::make_shared<Map>(make_map(0, plan.rows + carried(plan, m)));
    }
    for (const Stage& stage : plan.stages) sums.emplace_back(plan.unit * stage.weights_per_head());
  }

 private:
  // Rows of the block behind it that the nearest convolution before map m reads on the way back.
  static int64_t carried(const Plan& plan, int64_t m) {
    while (m > 0 && !plan.stages[m - 1].convolves()) --m;
    return m > 0 ? plan.stages[m - 1].c_q - 1 : 0;
  }
};

// A walk over blocks of queries: forward from first to last, backward from last to first.
class Walk {
 public:
  Walk(
      const Plan& plan, const Operands& operands, const Keys& keys, Workspace& space, int64_t batch, int64_t head)
      : plan_(plan), operands_(operands), keys_(keys), space_(space), batch_(batch), head_(head) {
    for (auto* sums : {&space.key_gradient, &space.value_gradient}) std::fill(sums->begin(), sums->end(), 0.0f);
    for (auto& sums : space.sums) std::fill(sums.begin(), sums.end(), Vec(0.0f));
    if (!space.gradients.empty()) clear_carried();
  }

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

  // Forward again, and all gradients. With `look`, only as far as the blocks before this one need it: nothing is added
  // to any result. `query_gradient` is [batch, padded, heads, depth].
  void backward(int64_t first, int64_t rows, bool look, float* query_gradient) {
    forward(first, rows, false);
    carry();
    for (int64_t h = 0; h < plan_.unit; ++h) {
      pack_rows(operands_.output_gradient, h, first, first + rows, 1.0f, space_.output_gradient);
    }
    const Map& weights_gradient = *space_.gradients.back();
    for_strips(0, [&](int64_t h, int64_t r) {
      rows_by_panels(
          output_gradient_row(h, r), plan_.depth, keys_.value_panels.data() + h * plan_.columns * plan_.width,
          plan_.width, weights_gradient.row(h, r), weights_gradient.pitch(), width(r, 0));
      clear_right(weights_gradient, h, r, 0);
    });
    if (!look) {
      for (int64_t h = 0; h < plan_.unit; ++h) {
        add_outer(space_.maps.back(), h, output_gradient_row(h, 0), 0, space_.value_gradient);
      }
    }
    for (int64_t m = plan_.last();; --m) {
      if (m == plan_.softmax) softmax_gradient();
      if (m == 0) break;
      apply_gradient(m - 1, look);
    }
    if (look) return;
    const Map& logits_gradient = *space_.gradients.front();
    for_strips(0, [&](int64_t h, int64_t r) {
      rows_by_rows(
          logits_gradient.row(h, r), logits_gradient.pitch(), keys_.key_rows.data() + h * plan_.columns * plan_.depth,
          plan_.depth, query_gradient + token_major(h, first_ + r), plan_.heads * plan_.depth,
          width(r, plan_.beyond[0]), plan_.scale());
    });
    for (int64_t h = 0; h < plan_.unit; ++h) {
      add_outer(logits_gradient, h, query_row(h, 0), plan_.beyond[0], space_.key_gradient);
    }
  }

  // Writes a sum over keys to `out`, [batch, tokens, heads, width].
  void write(const std::vector<float>& sums, float* out) const {
    for (int64_t h = 0; h < plan_.unit; ++h) {
      for (int64_t t = 0; t < plan_.tokens; ++t) {
        std::copy_n(
            sums.data() + (h * plan_.columns + t) * plan_.depth, plan_.width,
            out + ((batch_ * plan_.tokens + t) * plan_.heads + head_ + h) * plan_.width);
      }
    }
  }
  void write_gradients(float* key_gradient, float* value_gradient) const {
    write(space_.key_gradient, key_gradient);
    write(space_.value_gradient, value_gradient);
  }

  // Adds the lanes of stage s's weight gradient, in the order of its weights; returns the end of what was written.
  float* gather(int64_t s, float* out) const {
    const Stage& stage = plan_.stages[s];
    const std::vector<Vec>& sums = space_.sums[s];
    for (int64_t h = 0; h < plan_.unit; ++h) {
      for (int64_t w = 0; w < stage.weights_per_head(); ++w) {
        const int64_t place = stage.convolves() ? tap_index(w / stage.c_k, w % stage.c_k, stage.c_q, stage.c_k) : w;
        *out++ = sum_of_lanes(sums[h * stage.weights_per_head() + place]);
      }
    }
    return out;
  }

 private:
  // Packs queries first .. end - 1 of a head of the unit.
  void pack_rows(
      const Heads4d& from, int64_t h, int64_t first, int64_t end, float scale, std::vector<float>& rows) const {
    float* const to = rows.data() + h * static_cast<int64_t>(rows.size()) / plan_.unit;
    Keys::pack_rows(plan_, from, batch_, head_ + h, first, end - first, scale, to);
  }

  const float* query_row(int64_t h, int64_t r) const {
    return space_.query.data() + (h * (plan_.halo[0] + plan_.rows) + plan_.halo[0] + r) * plan_.depth;
  }
  const float* output_gradient_row(int64_t h, int64_t r) const {
    return space_.output_gradient.data() + (h * plan_.rows + r) * plan_.depth;
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
    for (int64_t k = r; k < r + strip; ++k) std::fill(map.row(h, k) + first_ + k + 1 + beyond, map.row(h, k) + end, 0.0f);
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

  void apply_gradient(int64_t s, bool look) {
    const Stage& stage = plan_.stages[s];
    const Map &in = space_.maps[s], &gradient = *space_.gradients[s + 1], &in_gradient = *space_.gradients[s];
    switch (stage.kind) {
      case Stage::Kind::convolve:
        for_strips(0, [&](int64_t h, int64_t r) {
          if (!look) {
            tap_gradients(
                in.row(h, r), in.pitch(), gradient.row(h, r) - stage.after(), gradient.pitch(), stage.c_q, stage.c_k,
                width(r, 0), space_.sums[s].data() + h * stage.weights_per_head());
          }
          correlate(
              gradient.row(h, r) - stage.after(), gradient.pitch(), taps(stage, stage.adjoint, h), stage.c_q,
              stage.c_k, in_gradient.row(h, r), in_gradient.pitch(), width(r, 0));
          clear_right(in_gradient, h, r, 0);
          if (stage.exact) band_gradient(s, h, r, look);
        });
        break;
      case Stage::Kind::mix:
        if (!look) add_mix_gradient(s, gradient, in);
        mix(s, gradient, gradient, 0, 1, stage.group);
        break;
      case Stage::Kind::drop:
        for_strips(0, [&](int64_t h, int64_t r) {
          for (int64_t k = r; k < r + strip; ++k) drop(gradient.row(h, k), gradient.row(h, k), h, k);
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

  void add_mix_gradient(int64_t s, const Map& gradient, const Map& in) {
    const int64_t group = plan_.stages[s].group;
    for (int64_t h = 0; h < plan_.unit; h += group) {
      for (int64_t r = 0; r < rows_; r += strip) {
        mix_gradient(
            {gradient.row(h, r), gradient.head_pitch(), gradient.pitch()},
            {in.row(h, r), in.head_pitch(), in.pitch()}, group, width(r, plan_.beyond[s + 1]),
            space_.sums[s].data() + h * group);
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

  void softmax_gradient() {
    const Map &weights = space_.maps[plan_.softmax], &gradient = *space_.gradients[plan_.softmax];
    for (int64_t h = 0; h < plan_.unit; ++h) {
      for (int64_t r = 0; r < rows_; ++r) softmax_gradient_row(weights.row(h, r), gradient.row(h, r), first_ + r + 1);
    }
  }

  void drop(const float* in, float* out, int64_t h, int64_t r) const {
    drop_row(in, out, first_ + r + 1, row_stream(plan_.seed, batch_ * plan_.heads + head_ + h, first_ + r), plan_.dropout);
  }

  // sums[j] += sum over the block's queries of map[query][j] rows[query], for each key j of a head.
  void add_outer(const Map& map, int64_t h, const float* rows, int64_t beyond, std::vector<float>& sums) const {
    float* out = sums.data() + h * plan_.columns * plan_.depth;
    for (int64_t j = 0; j < first_ + rows_ + beyond; j += strip) {
      columns_by_rows(
          map.row(h, 0) + j, map.pitch(), rows, plan_.depth, out + j * plan_.depth,
          std::max<int64_t>(0, j - first_ - beyond), rows_);
    }
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

  // Forgets gradients that another walk left for blocks before its own.
  void clear_carried() {
    for (int64_t s = 0; s < plan_.last(); ++s) {
      const Map& gradient = *space_.gradients[s + 1];
      for (int64_t h = 0; h < plan_.unit; ++h) {
        for (int64_t r = 0; r < plan_.stages[s].c_q - 1; ++r) {
          std::fill_n(gradient.row(h, r) - gradient.margin(), gradient.pitch(), 0.0f);
        }
      }
    }
  }

  // Moves the first rows of the gradients that the block behind left, to behind this block's.
  void carry() {
    for (int64_t s = 0; s < plan_.last(); ++s) {
      const Map& gradient = *space_.gradients[s + 1];
      for (int64_t h = 0; h < plan_.unit; ++h) {
        for (int64_t r = plan_.stages[s].c_q - 2; r >= 0; --r) {
          std::copy_n(
              gradient.row(h, r) - gradient.margin(), gradient.pitch(), gradient.row(h, rows_ + r) - gradient.margin());
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

  void band_gradient(int64_t s, int64_t h, int64_t r, bool look) {
    const Stage& stage = plan_.stages[s];
    const Map &gradient = *space_.gradients[s + 1], &in_gradient = *space_.gradients[s];
    const float* weight = stage.weight.data() + (head_ + h) * stage.weights_per_head();
    Vec* sums = space_.sums[s].data() + h * stage.weights_per_head();
    for (int64_t k = r; k < r + strip; ++k) {
      const float* logits = band(s, h, k);
      for_band(plan_.beyond[s], [&](int64_t a, int64_t x) {
        const int64_t key = first_ + k + 1 + x;
        const float* source = gradient.row(h, k + a) + key - stage.after();
        float sum = 0.0f;
        for (int64_t b = 0; b < stage.c_k; ++b) {
          sum += weight[a * stage.c_k + b] * source[b];
          if (!look) {
            Vec& total = sums[tap_index(a, b, stage.c_q, stage.c_k)];
            total = total + Vec::set(Vec(0.0f), Vec(logits[x] * source[b]), 1);
          }
        }
        in_gradient.row(h, k)[key] += sum;
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
