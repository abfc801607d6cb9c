#include "nets/blocked/kept.h"

#include <algorithm>

namespace retort::nets {

BlockedKept::BlockedKept(std::shared_ptr<Workspace> space, const CallFrame& frame)
    : space_(std::move(space)), lease_(space_->kept.lease()), batches_(frame.lanes.batches) {
  for (const HeldGroup& group : frame.groups) images_.push_back(group.images);
  for (const MicroBatch& batch : batches_) rows_ += batch.rows();
  (*lease_).reserve(kept_floats(space_->network) * rows_);
  for (const MicroBatch& batch : batches_) {
    values_.push_back(take_values(space_->network, batch.rows(), Follows::kTangents, *lease_));
    values_.back().images = frame.groups[batch.group].image(batch);
  }
}

int64_t BlockedKept::bytes_of(const BlockedNetwork& network, int64_t rows) {
  return kept_floats(network) * rows * static_cast<int64_t>(sizeof(float));
}

bool BlockedKept::fits(const Lanes& lanes) const {
  return std::equal(batches_.begin(), batches_.end(), lanes.batches.begin(), lanes.batches.end(),
                    [](const MicroBatch& a, const MicroBatch& b) {
                      return a.group == b.group && a.begin == b.begin && a.end == b.end;
                    });
}

}  // namespace retort::nets
