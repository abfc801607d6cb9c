#include "nets/blocked/call.h"

#include <algorithm>

#include "core/sizes.h"

namespace retort::nets {
namespace {

Lanes lanes_of(const std::vector<Group>& groups, const Query& query) {
  std::vector<int64_t> sizes;
  for (const Group& group : groups) sizes.push_back(group.rows());
  return cut_rows(sizes, row_limits(query.memory, kRows));
}

}  // namespace

HeldGroup::HeldGroup(const Group& group)
    : theta(group.theta.detach().contiguous()), images(group.images.detach().contiguous()) {
  if (group.direction.defined()) direction = group.direction.detach().contiguous();
}

int64_t HeldGroup::offset(const MicroBatch& batch) const {
  return batch.begin * (images.numel() / rows());
}

float* HeldGroup::place(const at::Tensor& all, const MicroBatch& batch) const {
  return all.defined() ? all.data_ptr<float>() + offset(batch) : nullptr;
}

const PackedWeights& CallWeights::of(const at::Tensor& theta, WithRespectTo wrt) {
  const float* data = floats(theta);
  auto known = std::find_if(packed_.begin(), packed_.end(),
                            [&](const auto& one) { return one->theta() == data; });
  if (known == packed_.end())
    known = packed_.insert(known, std::make_unique<PackedWeights>(space_.network, data));
  prepare({space_.network, *lease_}, wrt, **known);
  return **known;
}

void CallWeights::pack() {
  std::vector<std::pair<const PackedWeights*, size_t>> work;
  for (const auto& one : packed_)
    for (size_t i = 0; i < one->planned(); ++i) work.emplace_back(one.get(), i);
  parallel_for(std::ssize(work), [&](int64_t i) {
    const auto& [weights, index] = work[to_size(i)];
    weights->pack(index);
  });
}

CallFrame::CallFrame(Workspace& space, const std::vector<Group>& all, const Query& query)
    : lanes(lanes_of(all, query)),
      groups(all.begin(), all.end()),
      weights(space),
      wants_theta(query.work == Work::kGradient || query.wrt.theta),
      sums(lanes, all.size(), at::empty({wants_theta ? space.network.parameters : 0})),
      losses(lanes.batches.size()) {
  const bool tangent = query.work == Work::kGradientJvp;
  for (const MicroBatch& batch : lanes.batches) {
    const WithRespectTo wrt{.theta = true, .images = query.wrt.images};
    packed.push_back(&weights.of(groups[batch.group].theta, wrt));
    if (tangent) packed_tangent.push_back(&weights.of(groups[batch.group].direction, wrt));
  }
  weights.pack();
}

}  // namespace retort::nets
