// The maps of a head group, a block of queries at a time.
#pragma once

#include "matmul.h"
#include "softmax.h"
#include "workspace.h"

namespace mta {

// The maps that the workspace holds already: none, those of the block right before, or of the block right behind.
enum class Known { nothing, before, behind };

// A walk over blocks of queries from first to last, or, as the start of a backward walk, from last to first.
class Forward {
 public:
  Forward(const Plan& plan, const Operands& operands, const Keys& keys, Workspace& space, int64_t batch, int64_t head)
      : plan_(plan), operands_(operands), keys_(keys), space_(space), batch_(batch), head_(head) {}

  // Makes all maps of queries first .. first + rows - 1. A row of a map is zero right of its query's key.
  //
  // A row tile goes through all stages before the next one does, so that a stage finds in the cache what the
  // stage before it has left there; only the matrix products go head by head, each over its own keys.
  void forward(int64_t first, int64_t rows, Known known) {
    if (known == Known::before) move_rows(rows_, 0);
    if (known == Known::behind) move_rows(0, rows);
    first_ = first;
    rows_ = rows;
    known_ = known;
    for (int64_t h = 0; h < plan_.head_group; ++h) {
      pack_rows(operands_.query, h, first - plan_.halo[0], plan_.halo[0] + rows, plan_.scale(), space_.query);
      for (int64_t r = begin(0); r < end(0); r += row_tile) multiply_keys(h, r);
    }
    for (int64_t r = begin(0); r < rows_; r += row_tile) {
      for (int64_t m = 0; m <= plan_.last(); ++m) {
        if (r < begin(m) || end(m) <= r) continue;
        if (m > 0) apply(m - 1, r);
        if (m == plan_.softmax) softmax(r);
        if (m < plan_.last() && plan_.stages[m].exact) set_band_aside(m, r);
      }
    }
  }

  // output = weights times values; `output` is [batch, padded, heads, depth].
  void weigh(float* output) const {
    const Map& weights = space_.maps[plan_.last()];
    for (int64_t h = 0; h < plan_.head_group; ++h) {
      const float* const values = keys_.value_rows + h * plan_.columns * plan_.depth;
      for (int64_t r = 0; r < rows_; r += row_tile) {
        rows_by_rows(
            weights.row(h, r), weights.pitch(), values, plan_.depth, output + token_major(h, first_ + r),
            plan_.heads * plan_.depth, width(r, 0), 1.0f);
      }
    }
  }

 protected:
  // Packs `count` rows of a head of the group from query `first` on.
  void pack_rows(const Strided& from, int64_t h, int64_t first, int64_t count, float scale, float* rows) const {
    Keys::pack_rows(plan_, from, batch_, head_ + h, first, count, scale, rows + h * count * plan_.depth);
  }

  const float* query_row(int64_t h, int64_t r) const {
    return space_.query + (h * (plan_.halo[0] + rows_) + plan_.halo[0] + r) * plan_.depth;
  }
  // The index of a query's channels in a tensor [batch, padded, heads, depth].
  int64_t token_major(int64_t h, int64_t query) const {
    return ((batch_ * plan_.padded + query) * plan_.heads + head_ + h) * plan_.depth;
  }
  // The rows of a map that are to be computed.
  int64_t begin(int64_t map) const { return known_ == Known::before ? 0 : -plan_.halo[map]; }
  int64_t end(int64_t map) const { return known_ == Known::behind ? rows_ - plan_.halo[map] : rows_; }
  // Columns that a row tile computes.
  int64_t width(int64_t r, int64_t lookahead) const { return round_up(first_ + r + row_tile + lookahead, column_step); }

  // Zeros from `lookahead` keys right of each query's on, by whole vectors: in the columns that the row tile computes
  // of map m, and `far`, in those that any row tile's convolution reads.
  void clear_right(const Map& map, int64_t m, int64_t h, int64_t r, int64_t lookahead, bool far) const {
    const int64_t end = far ? width(r + plan_.below, plan_.lookahead[m]) + plan_.right : width(r, plan_.lookahead[m]);
    for (int64_t k = r; k < r + row_tile; ++k) {
      float* const row = map.row(h, k);
      for (int64_t j = first_ + k + 1 + lookahead; j < end; j += lanes) Vec(0.0f).store(row + j);
    }
  }

  // The same for map m as it is read from here on. What only a mixing reads may stay: it ends where it began.
  void clear_unseen(int64_t m, int64_t h, int64_t r) const {
    const bool far = m < plan_.last() && plan_.stages[m].convolves();
    if (far || m == plan_.softmax || m == plan_.last() || plan_.lookahead[m] > 0) {
      clear_right(space_.maps[m], m, h, r, plan_.lookahead[m], far);
    }
  }

  // Sets a row tile of a map to zero if it lies before query 0, and returns whether it does.
  bool clear_before(const Map& map, int64_t h, int64_t r) const {
    if (first_ + r >= 0) return false;
    for (int64_t k = r; k < r + row_tile; ++k) std::fill_n(map.row(h, k), column_step + plan_.margin, 0.0f);
    return true;
  }

  void multiply_keys(int64_t h, int64_t r) const {
    const Map& logits = space_.maps[0];
    if (clear_before(logits, h, r)) return;
    rows_by_panels(
        query_row(h, r), plan_.depth, keys_.key_panels + h * plan_.columns * plan_.width, plan_.width, logits.row(h, r),
        logits.pitch(), width(r, plan_.lookahead[0]));
    clear_unseen(0, h, r);
  }

  // Makes a row tile of map s + 1 of map s.
  void apply(int64_t s, int64_t r) {
    const Stage& stage = plan_.stages[s];
    const Map &in = space_.maps[s], &out = space_.maps[s + 1];
    if (stage.kind == Stage::Kind::mix && first_ + r >= 0) mix(s, in, out, r, stage.group, 1);
    for (int64_t h = 0; h < plan_.head_group; ++h) {
      if (clear_before(out, h, r)) continue;
      if (stage.convolves()) {
        correlate(
            in.row(h, r - stage.c_q + 1) - stage.before(), in.pitch(), taps(stage, stage.forward, h), stage.c_q,
            stage.c_k, out.row(h, r), out.pitch(), width(r, 0));
      }
      if (stage.exact) add_band(s, h, r);
      if (stage.kind == Stage::Kind::drop) drop(in, out, h, r);
      clear_unseen(s + 1, h, r);
    }
  }

  const float* taps(const Stage& stage, const std::vector<float>& packed, int64_t h) const {
    return packed.data() + (head_ + h) * stage.weights_per_head();
  }

  // Mixes the heads of each of the stage's groups in a row tile; `by_out` and `by_in` are the strides of the matrices.
  void mix(int64_t s, const Map& in, const Map& out, int64_t r, int64_t by_out, int64_t by_in) const {
    const Stage& stage = plan_.stages[s];
    for (int64_t h = 0; h < plan_.head_group; h += stage.group) {
      mix_row_tile(
          in.heads(h, r), stage.weight.data() + (head_ + h) * stage.group, by_out, by_in, stage.group, out.heads(h, r),
          width(r, plan_.lookahead[s + 1]), space_.mixing);
    }
  }

  void softmax(int64_t r) const {
    const Map& map = space_.maps[plan_.softmax];
    for (int64_t h = 0; h < plan_.head_group; ++h) {
      for (int64_t k = std::max(r, -first_); k < r + row_tile; ++k) softmax_row(map.row(h, k), first_ + k + 1);
    }
  }

  void drop(const Map& in, const Map& out, int64_t h, int64_t r) const {
    for (int64_t k = r; k < r + row_tile; ++k) {
      const uint32_t stream = row_stream(plan_.seeds[batch_], (head_ + h) / plan_.heads_a_mask, first_ + k);
      drop_row(in.row(h, k), out.row(h, k), first_ + k + 1, stream, plan_.dropout);
    }
  }

  // Moves the rows of each map that end at row `from`, as many as its halo has, so that they end at row `to`.
  void move_rows(int64_t from, int64_t to) {
    for (int64_t m = 0; m < plan_.last(); ++m) {
      const Map& map = space_.maps[m];
      const int64_t columns = width(from - row_tile, plan_.lookahead[m]) + plan_.margin;
      for (int64_t h = 0; h < plan_.head_group; ++h) {
        for (int64_t r = -plan_.halo[m]; r < 0; ++r) {
          std::copy_n(map.row(h, from + r), columns, map.row(h, to + r));
          if (plan_.stages[m].exact) std::copy_n(band(m, h, from + r), plan_.lookahead[m], band(m, h, to + r));
        }
      }
    }
  }

  // Right of the diagonal, an exact convolution reads logits S[i - a, k] with i - a < k <= i. They are set aside, one
  // band of c_q - 1 columns, so that the convolution proper finds zeros there.
  float* band(int64_t s, int64_t h, int64_t r) const {
    const int64_t rows = plan_.halo[s] + plan_.rows;
    return space_.bands[s] + (h * rows + r + plan_.halo[s]) * plan_.lookahead[s];
  }

  void set_band_aside(int64_t s, int64_t r) const {
    const int64_t columns = plan_.lookahead[s];
    for (int64_t h = 0; h < plan_.head_group; ++h) {
      for (int64_t k = r; k < r + row_tile; ++k) {
        float* kept = band(s, h, k);
        std::fill_n(kept, columns, 0.0f);
        if (first_ + k < 0) continue;
        float* right = space_.maps[s].row(h, k) + first_ + k + 1;
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
    for (int64_t k = r; k < r + row_tile; ++k) {
      float* out = space_.maps[s + 1].row(h, k);
      for_band(plan_.lookahead[s], [&](int64_t a, int64_t x) {
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
  const int64_t batch_, head_;  // of the group's first head
  int64_t first_ = 0, rows_ = 0;
  Known known_ = Known::nothing;
};

}  // namespace mta
