// The arguments of the operators: checked, and laid out as a plan.
#pragma once

#include <ATen/ATen.h>

#include <numeric>
#include <optional>
#include <sstream>
#include <string>

#include "plan.h"

namespace mta {

using at::Tensor;

// The dtypes that the kernel computes as float32 without losing anything of them.
inline void check_dtype(const char* name, const Tensor& x) {
  TORCH_CHECK(
      x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16, "attend: ", name, " got ", x.scalar_type(),
      ", allowed: float32 and bfloat16");
}

// The plan for tensors [batch, heads, tokens, width], weights of the stages but the softmax, and the stages by name.
inline Plan make_plan(
    const Tensor& query, const Tensor& key, const Tensor& value, at::TensorList weights, const std::string& stages,
    double dropout, const std::optional<Tensor>& seeds, int64_t heads_a_mask) {
  TORCH_CHECK(query.dim() == 4, "attend: query must be [batch, heads, tokens, width], got ", query.sizes());
  TORCH_CHECK(query.size(1) > 0 && query.size(3) > 0, "attend: query without heads or channels: ", query.sizes());
  TORCH_CHECK(
      key.sizes() == query.sizes() && value.sizes() == query.sizes(), "attend: query ", query.sizes(), ", key ",
      key.sizes(), " and value ", value.sizes(), " must have one shape");
  check_dtype("query", query);
  TORCH_CHECK(
      key.scalar_type() == query.scalar_type() && value.scalar_type() == query.scalar_type(), "attend: query ",
      query.scalar_type(), ", key ", key.scalar_type(), " and value ", value.scalar_type(), " must have one dtype");
  TORCH_CHECK(0.0 <= dropout && dropout < 1.0, "attend: dropout ", dropout, " is not in [0, 1)");
  TORCH_CHECK(
      dropout == 0.0 || (seeds.has_value() && seeds->dim() == 1 && seeds->numel() == query.size(0) &&
                         seeds->scalar_type() == at::kLong && seeds->device().is_cpu()),
      "attend: dropout needs a seed for each sequence, [", query.size(0), "] int64");
  TORCH_CHECK(
      heads_a_mask > 0 && query.size(1) % heads_a_mask == 0, "attend: ", query.size(1),
      " heads cannot have a mask for each ", heads_a_mask);
  Plan plan{query.size(0), query.size(1), query.size(2), query.size(3), -1};
  std::istringstream names(stages);
  for (std::string name; names >> name;) {
    if (name == "softmax" && plan.softmax < 0) {
      plan.softmax = plan.last();
      continue;
    }
    const bool mixes = name == "mix";
    TORCH_CHECK(
        mixes || name == "convolve" || name == "convolve_exact", "attend: no stage '", name, "' here in '", stages,
        "'; known: convolve, convolve_exact, mix, and one softmax");
    TORCH_CHECK(plan.stages.size() < weights.size(), "attend: ", weights.size(), " weights for '", stages, "'");
    check_dtype("a weight", weights[plan.last()]);
    const Tensor weight = weights[plan.last()].to(at::kFloat).contiguous();
    TORCH_CHECK(
        weight.dim() == 3 && weight.numel() > 0 &&
            (mixes ? weight.size(1) == weight.size(2) && weight.size(0) * weight.size(1) == plan.heads
                   : weight.size(0) == plan.heads),
        "attend: ", name, " of ", plan.heads, " heads cannot have a weight of ", weight.sizes());
    Stage stage{mixes ? Stage::Kind::mix : Stage::Kind::convolve};
    stage.weight.assign(weight.data_ptr<float>(), weight.data_ptr<float>() + weight.numel());
    if (stage.convolves()) {
      stage.exact = name == "convolve_exact" && plan.softmax < 0;  // weights are zero right of the diagonal
      stage.c_q = weight.size(1);
      stage.c_k = weight.size(2);
      stage.pack_taps(plan.heads);
    } else {
      stage.group = weight.size(1);
      plan.head_group = std::lcm(plan.head_group, stage.group);
    }
    plan.stages.push_back(std::move(stage));
  }
  TORCH_CHECK(plan.softmax >= 0, "attend: no softmax in '", stages, "'");
  TORCH_CHECK(plan.stages.size() == weights.size(), "attend: ", weights.size(), " weights for '", stages, "'");
  if (dropout > 0.0) {
    plan.stages.push_back(Stage{Stage::Kind::drop});
    plan.dropout = dropout;
    const Tensor given = seeds->contiguous();
    plan.seeds.assign(given.const_data_ptr<int64_t>(), given.const_data_ptr<int64_t>() + given.numel());
    plan.heads_a_mask = heads_a_mask;
  }
  plan.lay_out();
  return plan;
}

}  // namespace mta
