#include "nets/autograd/pass.h"

#include <torch/csrc/autograd/autograd.h>

#include "nets/flatten.h"

namespace retort::nets {

at::Tensor leaf(const at::Tensor& x, bool requires_grad) {
  return x.detach().set_requires_grad(requires_grad);
}

Pass run_pass(const Definition& network, const Group& group, const PassKeeps& keep) {
  at::AutoGradMode recording(keep.wrt.theta || keep.wrt.images);
  Pass pass;
  for (const at::Tensor& slot : unflatten(network.parameters, group.theta.detach()))
    pass.theta.push_back(leaf(slot, keep.wrt.theta));
  pass.images = leaf(group.images, keep.wrt.images);

  ApplyPass apply{pass.theta, {}, group.norm, group.offsets, keep.second_order};
  const bool updating = network.state.size > 0 && group.norm == NormMode::kUpdating;
  if (network.state.size > 0 && group.norm != NormMode::kBatch) {
    TORCH_CHECK(group.state.defined(), "network '", network.name, "' needs its running state");
    for (const at::Tensor& slot : unflatten(network.state, group.state.detach()))
      apply.state.push_back(updating ? slot.clone() : slot);
  }
  for (const std::string& name : keep.taps) apply.taps[name];
  LayerBuilder builder(apply);
  pass.logits = network.architecture(builder, pass.images);
  if (apply.taps.count("logits")) apply.taps["logits"] = pass.logits;
  pass.taps = std::move(apply.taps);
  pass.state = updating ? flatten(apply.state, apply.state) : group.state;
  return pass;
}

}  // namespace retort::nets
