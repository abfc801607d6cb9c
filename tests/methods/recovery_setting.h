// A set of the toy classes and what a recovery of it needs.
#pragma once

#include "methods/decoupled/recovery.h"
#include "methods/toy_teacher.h"

namespace retort::methods {

/// A set of two images of each toy class and what a recovery of it needs.
struct RecoverySetting {
  data::Dataset data = tests::toy_dataset();
  std::unique_ptr<nets::Network> network = nets::make_network("convnet-w4-d2", {3, 8, 8, 3});
  synthetic::SetLayout layout{{2, 2, 2}, 3, 8, 8};
  RecoveryOptions options;
  at::Tensor images;

  RecoverySetting() {
    options.teacher = tests::toy_teacher_file();
    options.group_size = 3;
    options.roll = 3;
    images = at::empty({6, 3, 8, 8});
    RandomStream(4, "test").fill_normal(images.data_ptr<float>(), images.numel());
    images = images.to(at::kDouble);
  }
  Context context() const {
    return {data, *network, layout, "none", 7, at::Device(at::kCPU), &ProcessGroup::alone(), 100};
  }
  Cotangents at(const at::Tensor& x, int64_t iteration = 30) const {
    Recovery recovery(context(), options);
    const SyntheticSet set{x, layout.labels(), layout.offsets()};
    recovery.begin(iteration, set);
    return recovery.evaluate(set, 0);
  }
};

}  // namespace retort::methods
