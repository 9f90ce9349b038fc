// The plan of a call: stages, maps and the sizes of blocks, all fixed before anything is computed.
#pragma once

#include <c10/util/Exception.h>

#include <cmath>
#include <vector>

#include "convolve.h"
#include "memory.h"
#include "mix.h"
#include "vector.h"

namespace mta {

// One operation on the attention maps of some heads.
struct Stage {
  enum class Kind { convolve, mix, drop };
  Kind kind;
  bool exact = false;         // a convolution that sees keys up to its own query's, not the shifted one's (equation 4)
  int64_t c_q = 1, c_k = 1;   // of a convolution
  int64_t group = 1;          // heads that a mixing mixes
  std::vector<float> weight;  // convolution: [heads, c_q, c_k]; mixing: [groups, out, in]
  std::vector<float> forward, adjoint;  // a convolution's taps as `correlate` reads them, and those of its gradient

  bool convolves() const { return kind == Kind::convolve; }
  int64_t after() const { return c_k / 2; }  // keys after its own that a convolution reads
  int64_t before() const { return c_k - 1 - after(); }
  int64_t weights_per_head() const { return convolves() ? c_q * c_k : kind == Kind::mix ? group : 0; }

  // Fills in `forward` and `adjoint`: S'[i, j] = sum over a, b of theta[a, b] S[i - a, j + after - b].
  void pack_taps(int64_t heads) {
    forward.resize(weight.size());
    adjoint.resize(weight.size());
    for (int64_t head = 0; head < heads; ++head) {
      for (int64_t a = 0; a < c_q; ++a) {
        for (int64_t b = 0; b < c_k; ++b) {
          const float theta = weight[(head * c_q + a) * c_k + b];
          forward[head * c_q * c_k + tap_index(c_q - 1 - a, c_k - 1 - b, c_q, c_k)] = theta;
          adjoint[head * c_q * c_k + tap_index(a, b, c_q, c_k)] = theta;
        }
      }
    }
  }
};

// Rows of floats for each head of a head group, zeros left of the columns, room right of them; the rest is not
// initialised.
class Map {
 public:
  Map(Arena& arena, int64_t heads, int64_t above, int64_t rows, int64_t columns, int64_t margin)
      : margin_(margin),
        pitch_((round_up(columns + 2 * margin, 16) / 16 | 1) * 16),
        head_pitch_(pitch_ * (above + rows)),
        first_row_(arena.take(head_pitch_ * heads) + above * pitch_ + margin) {
    for (int64_t h = 0; h < heads; ++h) {
      for (int64_t r = -above; r < rows; ++r) std::fill_n(row(h, r) - margin, margin, 0.0f);
    }
  }

  // Column 0 of a row; row 0 is the block's first, rows above it are negative.
  float* row(int64_t head, int64_t row) const { return first_row_ + head * head_pitch_ + row * pitch_; }
  Heads heads(int64_t head, int64_t row) const { return {this->row(head, row), head_pitch_, pitch_}; }
  // An odd number of cache lines: the rows of a row tile then lie in different sets of a cache.
  int64_t pitch() const { return pitch_; }
  int64_t margin() const { return margin_; }

 private:
  int64_t margin_, pitch_, head_pitch_;
  float* first_row_;
};

constexpr int64_t scratch_bytes = 32 << 20;  // what the maps of a thread may take, where the kernels' reach allows it
constexpr int64_t longest_block = 64;
constexpr int64_t fewest_blocks = 8;  // in a walk
constexpr int64_t tasks_wanted = 8;

// The order of work; README.md draws it. Map 0 holds logits, stage s makes map s + 1 of map s, and the softmax acts in
// place on map `softmax`. Heads that a mixing couples form a head group. All sizes follow from shapes, none from the
// number of threads, so that every sum is made in the same order whatever that number is.
struct Plan {
  int64_t batch, heads, tokens, width;  // width: channels a head
  int64_t softmax;
  std::vector<Stage> stages;
  double dropout = 0.0;
  std::vector<uint64_t> seeds;  // of the sequences, for dropout
  int64_t heads_a_mask = 1;  // neighbouring heads that drop the same places

  int64_t head_group = 1;          // heads that are computed together
  int64_t rows = row_tile;         // queries a block
  int64_t margin = lanes;          // columns left and right of a map, for what convolutions read there
  int64_t below = 0;               // the last row tile that reads a row tile's rows, in rows from it
  int64_t right = 0;               // columns right of what a row tile computes that it reads
  int64_t depth = 0;               // `width` in whole vectors
  int64_t padded = 0;              // `tokens` in whole row tiles
  int64_t columns = 0;             // `tokens` in whole tiles, and the lookahead of exact convolutions
  std::vector<int64_t> halo;       // rows above the block that each map holds, for the convolutions after it
  std::vector<int64_t> lookahead;  // keys after its own query's that each row of a map holds, for exact convolutions
  // The gradient of map m is written over map alias[m], row tile by row tile: what stands there has been used by then.
  // That of the last map has memory of its own where a convolution reads later row tiles of it, or the softmax the
  // weights themselves.
  std::vector<int64_t> alias;

  bool empty() const { return batch == 0 || tokens == 0; }
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(width)); }
  int64_t last() const { return static_cast<int64_t>(stages.size()); }
  int64_t head_groups() const { return heads / head_group; }                  // of a sequence
  int64_t sequence_of(int64_t group) const { return group / head_groups(); }  // group: counted over the batch
  int64_t first_head_of(int64_t group) const { return group % head_groups() * head_group; }
  int64_t blocks() const { return (padded + rows - 1) / rows; }
  int64_t rows_of(int64_t block) const { return std::min(rows, padded - block * rows); }

  // True if map m is made through a convolution.
  bool convolves_before(int64_t m) const {
    return std::any_of(stages.begin(), stages.begin() + m, [](const Stage& stage) { return stage.convolves(); });
  }

  // Walks a head group, each a task: a walk keeps rows from block to block, so a head group is cut into few walks, and
  // only where head groups are few.
  int64_t walks() const {
    const int64_t wanted = (tasks_wanted + batch * head_groups() - 1) / (batch * head_groups());
    return std::max<int64_t>(1, std::min(wanted, blocks() / fewest_blocks));
  }
  // Rows of gradients of the block behind it that a block reads, at most.
  int64_t carried() const {
    int64_t most = 0;
    for (const Stage& stage : stages) most = std::max(most, stage.c_q - 1);
    return most;
  }
  // Rows of the walk after that a walk has to look at before its own.
  int64_t reach() const {
    int64_t rows_read = 0;
    for (const Stage& stage : stages) rows_read += stage.c_q - 1;
    return round_up(rows_read, row_tile);
  }

  void lay_out() {
    halo.assign(last() + 1, 0);
    lookahead.assign(last() + 1, 0);
    const bool apart = softmax == last() || stages.back().convolves();
    alias.assign(last() + 1, apart ? last() + 1 : last());
    for (int64_t s = last() - 1; s >= 0; --s) {
      halo[s] = round_up(halo[s + 1] + stages[s].c_q - 1, row_tile);
      alias[s] = stages[s].convolves() ? s + 1 : alias[s + 1];
      TORCH_CHECK(
          !stages[s].convolves() || lookahead[s + 1] == 0,
          "attend: an exact convolution cannot follow another convolution");
      if (s < softmax && stages[s].exact) lookahead[s] = stages[s].c_q - 1;
      if (s < softmax && !stages[s].convolves()) lookahead[s] = lookahead[s + 1];
      if (!stages[s].convolves()) continue;
      margin = std::max(margin, round_up(stages[s].c_q + stages[s].c_k, column_step) + column_step);
      below = std::max(below, (row_tile + stages[s].c_q - 2) / row_tile * row_tile);
      right = std::max({right, stages[s].before(), stages[s].after()});
    }
    depth = round_up(width, lanes);
    padded = round_up(tokens, row_tile);
    columns = round_up(padded + lookahead[0] + column_step, column_tile);
    const int64_t least = std::min(std::max(halo[0], row_tile), padded);
    const int64_t bytes_a_row = 4 * head_group * (columns + 2 * margin) * (alias[last()] + 1);
    rows = std::min(longest_block, padded);
    const int64_t besides = halo[0] / 2 + carried();
    while (rows > least && (rows + besides) * bytes_a_row > scratch_bytes) rows = round_up(rows / 2, row_tile);
    rows = std::max(rows, least);
  }
};

}  // namespace mta
