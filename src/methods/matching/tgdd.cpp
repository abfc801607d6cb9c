// TGDD (Ran et al., AAAI 2026): the means of features are matched at a snapshot of an expert of any
// age, and a later snapshot of the same expert says by its cross-entropy which classes the images
// belong to.
#include <algorithm>

#include "methods/matching/class_matching.h"
#include "methods/matching/matching.h"

namespace retort::methods {
namespace {

struct Options : ClassMatchingOptions {
  int64_t age_interval = 7;

  Options() {
    real_batch = 128;
    synthetic_batch = 200;
  }
  void declare(OptionSet& set) {
    ClassMatchingOptions::declare(set);
    set.add("age_interval", age_interval,
            "the network of the cross-entropy is less than this many epochs older than the other",
            {.min = 1});
  }
};

class TrajectoryGuidedMatching : public ClassMatching {
 public:
  TrajectoryGuidedMatching(const Context& context, const Options& options)
      : ClassMatching(context, options, "tgdd"), options_(options) {}

 protected:
  Networks draw_networks(uint64_t iteration) const override {
    RandomStream stream(context().seed, "tgdd.networks", iteration);
    const int64_t expert = stream.uniform_int(pool().experts());
    const int64_t age = stream.uniform_int(pool().oldest() + 1);
    const int64_t last = std::min(age + options_.age_interval - 1, pool().oldest());
    const int64_t later = age + stream.uniform_int(last - age + 1);
    return {{pool().network(expert, age)}, pool().network(expert, later)};
  }
  bool one_augmentation() const override { return true; }

  FeatureGap compare(const ClassView& seen) override {
    const at::Tensor synthetic = seen.synthetic[0].at("features");
    const at::Tensor gap = synthetic.mean(0) - seen.real[0].at("features").mean(0);
    const double share = 2.0 / static_cast<double>(synthetic.size(0));
    return {gap.square().sum(), {{{"features", (gap * share).expand_as(synthetic)}}}};
  }

 private:
  const Options options_;
};

}  // namespace

std::unique_ptr<Method> make_tgdd() {
  return std::make_unique<MethodOf<Options, TrajectoryGuidedMatching>>(
      LoopDefaults{.iterations = 10000,
                   .image_learning_rate = 5,
                   .image_momentum = 0.5,
                   .initialisation = "real",
                   .protocol = "tgdd",
                   .augmentation = "all:color_crop_cutout",
                   .clamp_pixels = true},
      std::vector<std::string>{
          "All images move at once; the published code takes a step after every class, which for "
          "its SGD comes to the same but for the order.",
          "Rates are in the units of normalised pixels and of the decoded images; a published rate "
          "r, for pixels from 0 to 1 and the mosaics themselves, is r f^2 / deviation^2 here, f "
          "being --factor: 64 r for CIFAR-10 with 2.",
          "Experts are those of `retort experts`, SGD at a constant rate without momentum or "
          "decay, in "
          "the recipes 0.1 with the published augmentation and CutMix; the published ones have "
          "0.01 "
          "with momentum 0.9, a decay of 5e-4, and two drops of the rate.",
          "The last set is the result; the published code keeps the best of its evaluations on the "
          "test set."});
}

}  // namespace retort::methods
