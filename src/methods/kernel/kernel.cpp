#include "methods/kernel/kernel.h"

#include "retort/losses/losses.h"

namespace retort::methods {

RealBatch real_rows(const Context& context, const std::vector<int64_t>& rows) {
  const at::Tensor index = at::tensor(rows, at::kLong);
  const data::Split& train = context.data.train;
  return {context.data.preprocessing.gather(train.images, index, context.device),
          losses::centred_one_hot(train.labels.index_select(0, index), context.data.classes())
              .to(context.device, at::kDouble)};
}

}  // namespace retort::methods
