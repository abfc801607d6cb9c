#include "methods/kernel/kernel.h"

#include "retort/losses/losses.h"

namespace retort::methods {

RealBatch real_rows(const data::ClassSampler& real, const std::vector<int64_t>& rows) {
  const data::Batch batch = real.batch(rows);
  return {batch.images, losses::centred_one_hot(batch.targets, real.classes()).to(at::kDouble)};
}

}  // namespace retort::methods
