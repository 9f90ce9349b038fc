// torch operators: mta_lab::attend and its gradient.
//
// Tasks are handed out as threads become free, but each writes to places of its own, and sums over tasks are made
// afterwards in one order: the result does not depend on the number of threads.
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <atomic>

#include "backward.h"
#include "request.h"

namespace mta {
namespace {

// The first block of a walk: later blocks have more keys, so earlier walks have more blocks.
int64_t walk_start(const Plan& plan, int64_t walk) {
  const double share = static_cast<double>(walk) / static_cast<double>(plan.walks());
  return std::llround(static_cast<double>(plan.blocks()) * std::sqrt(share));
}

// Calls work(a Walk over a head group, its memory, its number, its first block, that after its last) for all walks, on
// torch's threads. A head group's keys are packed once: by the thread that walks, or before all where several walks
// read them.
template <typename Walk, typename F>
void for_walks(const Plan& plan, const Operands& operands, const F& work) {
  constexpr bool backward = std::is_same_v<Walk, Backward>;
  const int64_t walks = plan.walks(), groups = plan.batch * plan.head_groups();
  const auto pack = [&](Keys& keys, int64_t group, int64_t h) {
    keys.pack(plan, operands, plan.sequence_of(group), plan.first_head_of(group), h);
  };
  std::vector<Keys> shared;
  for (int64_t group = 0; walks > 1 && group < groups; ++group) shared.emplace_back(plan, backward);
  at::parallel_for(0, static_cast<int64_t>(shared.size()) * plan.head_group, 1, [&](int64_t begin, int64_t end) {
    for (int64_t head = begin; head < end; ++head) {
      const int64_t group = head / plan.head_group;
      pack(shared[group], group, head % plan.head_group);
    }
  });
  std::atomic<int64_t> next{0};
  at::parallel_for(0, std::min<int64_t>(at::get_num_threads(), groups * walks), 1, [&](int64_t, int64_t) {
    Workspace space(plan, backward);
    std::optional<Keys> own;
    if (walks == 1) own.emplace(plan, backward);
    for (int64_t task = next++; task < groups * walks; task = next++) {
      const int64_t group = task / walks, number = task % walks;
      if (own) {
        for (int64_t h = 0; h < plan.head_group; ++h) pack(*own, group, h);
      }
      const Keys& keys = own ? *own : shared[group];
      Walk walk(plan, operands, keys, space, plan.sequence_of(group), plan.first_head_of(group));
      work(walk, space, task, walk_start(plan, number), walk_start(plan, number + 1));
    }
  });
}

// x as float32 with its channels side by side; the tensor owns what the result points to.
std::pair<Strided, Tensor> readable(const Tensor& x) {
  Tensor single = x.to(at::kFloat);
  if (single.stride(3) != 1) single = single.contiguous();
  return {{single.data_ptr<float>(), single.stride(0), single.stride(1), single.stride(2)}, single};
}

// [batch, padded, heads, depth] as [batch, heads, tokens, width] of the dtype of `like`.
Tensor without_padding(const Plan& plan, const Tensor& x, const Tensor& like) {
  return x.narrow(1, 0, plan.tokens).narrow(3, 0, plan.width).to(like.scalar_type()).contiguous().transpose(1, 2);
}

// The result for no tokens, in the same order in memory as any other.
Tensor without_tokens(const Tensor& like) {
  return at::empty_like(like.transpose(1, 2), at::MemoryFormat::Contiguous).transpose(1, 2);
}

Tensor attend(
    const Tensor& query, const Tensor& key, const Tensor& value, at::TensorList weights, std::string stages,
    double dropout, const std::optional<Tensor>& seeds, int64_t heads_a_mask) {
  const Plan plan = make_plan(query, key, value, weights, stages, dropout, seeds, heads_a_mask);
  if (plan.empty()) return without_tokens(query);
  const auto [queries, query_owner] = readable(query);
  const auto [keys, key_owner] = readable(key);
  const auto [values, value_owner] = readable(value);
  Tensor output = at::empty({plan.batch, plan.padded, plan.heads, plan.depth}, at::kFloat);
  float* const out = output.data_ptr<float>();
  const Operands operands{queries, keys, values, {}};
  for_walks<Forward>(plan, operands, [&](Forward& walk, Workspace&, int64_t, int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      walk.forward(block * plan.rows, plan.rows_of(block), block > begin ? Known::before : Known::nothing);
      walk.weigh(out);
    }
  });
  return without_padding(plan, output, query);
}

// Writes a gradient of token t of a head group, `found` by its walks, to `out`, [batch, tokens, heads, width]: the sum
// over the walks whose queries reach it, up to `lookahead` keys behind their last one, from the last walk, which
// reaches all.
void write_token(
    const Plan& plan, int64_t group, int64_t t, const KeySums* walked, float* KeySums::* found, int64_t lookahead,
    float* out) {
  const int64_t batch = plan.sequence_of(group), head = plan.first_head_of(group), last = plan.walks() - 1;
  int64_t first = last;
  while (first > 0 && t < walk_start(plan, first) * plan.rows + lookahead) --first;
  out += ((batch * plan.tokens + t) * plan.heads + head) * plan.width;
  for (int64_t h = 0; h < plan.head_group; ++h, out += plan.width) {
    for (int64_t c = 0; c < plan.width; c += lanes) {
      const int64_t from = (h * plan.columns + t) * plan.depth + c;
      Vec sum = Vec::loadu(walked[last].*found + from);
      for (int64_t walk = last - 1; walk >= first; --walk) sum = sum + Vec::loadu(walked[walk].*found + from);
      sum.store(out + c, static_cast<int>(std::min(lanes, plan.width - c)));
    }
  }
}

// Sums the tasks' partial sums of stage `s` into a gradient like `weight`.
Tensor weight_gradient(
    const Plan& plan, const Stage& stage, const Tensor& weight, const std::vector<float>& partial, int64_t task_size,
    int64_t offset, int64_t walks) {
  Tensor gradient = at::zeros(weight.sizes(), at::kFloat);
  float* const sum = gradient.data_ptr<float>();
  const int64_t size = plan.head_group * stage.weights_per_head();
  for (int64_t pair = 0; pair < plan.batch * plan.head_groups(); ++pair) {
    for (int64_t walk = 0; walk < walks; ++walk) {
      const float* part = partial.data() + (pair * walks + walk) * task_size + offset;
      for (int64_t w = 0; w < size; ++w) sum[pair % plan.head_groups() * size + w] += part[w];
    }
  }
  return gradient.to(weight.scalar_type());
}

std::vector<Tensor> attend_backward(
    const Tensor& output_gradient, const Tensor& query, const Tensor& key, const Tensor& value, at::TensorList weights,
    std::string stages, double dropout, const std::optional<Tensor>& seeds, int64_t heads_a_mask) {
  const Plan plan = make_plan(query, key, value, weights, stages, dropout, seeds, heads_a_mask);
  check_dtype("gradient", output_gradient);
  TORCH_CHECK(
      output_gradient.sizes() == query.sizes(), "attend: gradient ", output_gradient.sizes(), " and query ",
      query.sizes(), " must have one shape");
  if (plan.empty()) {
    std::vector<Tensor> gradients{without_tokens(query), without_tokens(key), without_tokens(value)};
    for (const Tensor& weight : weights) gradients.push_back(at::zeros(weight.sizes(), weight.options()));
    return gradients;
  }
  const auto [queries, query_owner] = readable(query);
  const auto [keys, key_owner] = readable(key);
  const auto [values, value_owner] = readable(value);
  const auto [output_gradients, gradient_owner] = readable(output_gradient);
  const int64_t walks = plan.walks();
  Tensor query_gradient = at::empty({plan.batch, plan.padded, plan.heads, plan.depth}, at::kFloat);
  Tensor key_gradient = at::empty({plan.batch, plan.tokens, plan.heads, plan.width}, at::kFloat);
  Tensor value_gradient = at::empty_like(key_gradient);
  float* const dq = query_gradient.data_ptr<float>();
  float* const dk = key_gradient.data_ptr<float>();
  float* const dv = value_gradient.data_ptr<float>();
  Arena arena;
  std::vector<KeySums> sums;  // of each task, where a head group has several
  for (int64_t task = 0; walks > 1 && task < plan.batch * plan.head_groups() * walks; ++task) {
    sums.push_back(KeySums::taken(arena, plan));
  }
  int64_t task_size = 0;
  for (const Stage& stage : plan.stages) task_size += plan.head_group * stage.weights_per_head();
  std::vector<float> partial(plan.batch * plan.head_groups() * walks * task_size);

  const auto write = [&](int64_t group, int64_t t, const KeySums* walked) {
    write_token(plan, group, t, walked, &KeySums::key, plan.lookahead[0], dk);
    write_token(plan, group, t, walked, &KeySums::value, 0, dv);
  };
  const Operands operands{queries, keys, values, output_gradients};
  for_walks<Backward>(plan, operands, [&](Backward& walk, Workspace& space, int64_t task, int64_t begin, int64_t end) {
    walk.add_to(walks > 1 ? sums[task] : space.key_sums);
    const bool warm_up = end < plan.blocks() && plan.reach() > 0;
    if (warm_up) {
      const int64_t first = end * plan.rows;
      walk.backward(first, std::min(plan.reach(), plan.padded - first), false, true, nullptr);
    }
    for (int64_t block = end - 1; block >= begin; --block) {
      walk.backward(block * plan.rows, plan.rows_of(block), warm_up || block < end - 1, false, dq);
    }
    for (int64_t t = 0; walks == 1 && t < plan.tokens; ++t) write(task, t, &space.key_sums);
    float* out = partial.data() + task * task_size;
    for (int64_t s = 0; s < plan.last(); ++s) out = walk.gather(s, out);
  });

  const int64_t left = walks > 1 ? plan.batch * plan.head_groups() * plan.tokens : 0;  // tokens to write
  at::parallel_for(0, left, row_tile, [&](int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; ++index) {
      const int64_t group = index / plan.tokens;
      write(group, index % plan.tokens, sums.data() + group * walks);
    }
  });
  std::vector<Tensor> gradients{
      without_padding(plan, query_gradient, query), key_gradient.to(key.scalar_type()).transpose(1, 2),
      value_gradient.to(value.scalar_type()).transpose(1, 2)};
  int64_t offset = 0;
  for (size_t s = 0; s < weights.size(); ++s) {
    gradients.push_back(weight_gradient(plan, plan.stages[s], weights[s], partial, task_size, offset, walks));
    offset += plan.head_group * plan.stages[s].weights_per_head();
  }
  return gradients;
}

}  // namespace
}  // namespace mta

TORCH_LIBRARY(mta_lab, library) {
  library.def(
      "attend(Tensor query, Tensor key, Tensor value, Tensor[] weights, str stages, float dropout, "
      "Tensor? seeds, int heads_a_mask) -> Tensor");
  library.def(
      "attend_backward(Tensor output_gradient, Tensor query, Tensor key, Tensor value, Tensor[] weights, str stages, "
      "float dropout, Tensor? seeds, int heads_a_mask) -> Tensor[]");
}

TORCH_LIBRARY_IMPL(mta_lab, CPU, library) {
  library.impl("attend", &mta::attend);
  library.impl("attend_backward", &mta::attend_backward);
}
