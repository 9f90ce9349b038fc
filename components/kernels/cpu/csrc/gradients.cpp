// The pointwise operators joined with their gradients, for autograd, and their shapes, for tensors without values.
//
// For a gradient only the inputs are kept: what else it needs of a row it computes anew.
#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd_not_implemented_fallback.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <vector>

#include "pointwise.h"

namespace mta {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using MaybeTensor = std::optional<Tensor>;
using Tensors = std::vector<Tensor>;

// A registered operator: a call of it is seen by torch.compile, of its kernel it is not.
template <typename Signature>
auto operator_of(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

// Returns what was saved in a forward pass; an error where the gradient is to have a gradient itself.
Tensors saved_by(AutogradContext* context) {
  TORCH_CHECK(
      !at::GradMode::is_enabled(),
      "compiled operators have no second derivative (create_graph=True); torch's own operations have: "
      "components.set_compiled(model, False), or training.compiled=false");
  return context->get_saved_variables();
}

struct RMSNorm : Function<RMSNorm> {
  static Tensor forward(
      AutogradContext* context, const Tensor& x, const Tensor& weight, const MaybeTensor& gate, const MaybeTensor& bias,
      double eps) {
    using Signature = Tensor(const Tensor&, const Tensor&, const MaybeTensor&, const MaybeTensor&, double);
    static const auto found = operator_of<Signature>("mta_lab::rms_norm");
    at::AutoDispatchBelowADInplaceOrView below;
    context->save_for_backward({x, weight, gate.value_or(Tensor()), bias.value_or(Tensor())});
    context->saved_data["eps"] = eps;
    return found.call(x, weight, gate, bias, eps);
  }

  static Tensors backward(AutogradContext* context, Tensors gradients) {
    using Signature =
        Tensors(const Tensor&, const Tensor&, const Tensor&, const MaybeTensor&, const MaybeTensor&, double);
    static const auto found = operator_of<Signature>("mta_lab::rms_norm_backward");
    const Tensors saved = saved_by(context);
    const bool gated = saved[2].defined();
    const MaybeTensor gate = gated ? MaybeTensor(saved[2]) : std::nullopt;
    const MaybeTensor bias = gated ? MaybeTensor(saved[3]) : std::nullopt;
    Tensors all = found.call(gradients[0], saved[0], saved[1], gate, bias, context->saved_data["eps"].toDouble());
    all.resize(5);
    return all;
  }
};

struct SwiGLU : Function<SwiGLU> {
  static Tensor forward(AutogradContext* context, const Tensor& a, const Tensor& b) {
    static const auto found = operator_of<Tensor(const Tensor&, const Tensor&)>("mta_lab::swiglu");
    at::AutoDispatchBelowADInplaceOrView below;
    context->save_for_backward({a, b});
    return found.call(a, b);
  }

  static Tensors backward(AutogradContext* context, Tensors gradients) {
    using Signature = Tensors(const Tensor&, const Tensor&, const Tensor&);
    static const auto found = operator_of<Signature>("mta_lab::swiglu_backward");
    const Tensors saved = saved_by(context);
    return found.call(gradients[0], saved[0], saved[1]);
  }
};

struct Rotate : Function<Rotate> {
  static Tensor turn(const Tensor& x, const Tensor& turns, bool back) {
    static const auto found = operator_of<Tensor(const Tensor&, const Tensor&, bool)>("mta_lab::rotate");
    return found.call(x, turns, back);
  }

  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& turns, bool back) {
    TORCH_CHECK(!turns.requires_grad(), "rotate: angles that learn have no gradient here; allowed: compiled=False");
    at::AutoDispatchBelowADInplaceOrView below;
    context->save_for_backward({turns});
    context->saved_data["back"] = back;
    return turn(x, turns, back);
  }

  static Tensors backward(AutogradContext* context, Tensors gradients) {
    return {turn(gradients[0], saved_by(context)[0], !context->saved_data["back"].toBool()), Tensor(), Tensor()};
  }
};

struct CrossEntropy : Function<CrossEntropy> {
  static Tensor forward(AutogradContext* context, const Tensor& logits, const Tensor& targets) {
    static const auto found = operator_of<Tensor(const Tensor&, const Tensor&)>("mta_lab::cross_entropy");
    at::AutoDispatchBelowADInplaceOrView below;
    context->save_for_backward({logits, targets});
    return found.call(logits, targets);
  }

  static Tensors backward(AutogradContext* context, Tensors gradients) {
    using Signature = Tensor(const Tensor&, const Tensor&, const Tensor&);
    static const auto found = operator_of<Signature>("mta_lab::cross_entropy_backward");
    const Tensors saved = saved_by(context);
    return {found.call(gradients[0], saved[0], saved[1]), Tensor()};
  }
};

Tensor shape_of(const Tensor& x) {
  return at::empty_like(x, at::MemoryFormat::Contiguous);
}

Tensor normed_shape(const Tensor& x) {
  return any_order(x) ? at::empty_like(x) : shape_of(x);
}

}  // namespace
}  // namespace mta

TORCH_LIBRARY_IMPL(mta_lab, Autograd, library) {
  using namespace mta;
  // Joined by `fused.py`, or gradients themselves: a derivative of these calls is an error, not nothing.
  for (const char* name :
       {"attend", "attend_backward", "rms_norm_backward", "swiglu_backward", "cross_entropy_backward"}) {
    library.impl(name, torch::autograd::autogradNotImplementedFallback());
  }
  library.impl(
      "rms_norm", [](const Tensor& x, const Tensor& weight, const MaybeTensor& gate, const MaybeTensor& bias,
                     double eps) { return RMSNorm::apply(x, weight, gate, bias, eps); });
  library.impl("swiglu", [](const Tensor& a, const Tensor& b) { return SwiGLU::apply(a, b); });
  library.impl("rotate", [](const Tensor& x, const Tensor& turns, bool back) { return Rotate::apply(x, turns, back); });
  library.impl("cross_entropy", [](const Tensor& logits, const Tensor& targets) {
    return CrossEntropy::apply(logits, targets);
  });
}

TORCH_LIBRARY_IMPL(mta_lab, Meta, library) {
  using namespace mta;
  library.impl("rms_norm", [](const Tensor& x, const Tensor&, const MaybeTensor&, const MaybeTensor&, double) {
    return normed_shape(x);
  });
  library.impl(
      "rms_norm_backward", [](const Tensor&, const Tensor& x, const Tensor& weight, const MaybeTensor& gate,
                              const MaybeTensor& bias, double) {
        Tensors shapes{normed_shape(x), shape_of(weight)};
        if (gate) shapes.insert(shapes.end(), {shape_of(*gate), shape_of(*bias)});
        return shapes;
      });
  library.impl("swiglu", [](const Tensor& a, const Tensor&) { return shape_of(a); });
  library.impl("swiglu_backward", [](const Tensor&, const Tensor& a, const Tensor& b) {
    return Tensors{shape_of(a), shape_of(b)};
  });
  library.impl("rotate", [](const Tensor& x, const Tensor&, bool) { return shape_of(x); });
  library.impl("cross_entropy", [](const Tensor& logits, const Tensor& targets) {
    return at::empty_symint(targets.sym_sizes(), logits.options());
  });
  library.impl(
      "cross_entropy_backward", [](const Tensor&, const Tensor& logits, const Tensor&) { return shape_of(logits); });
}
