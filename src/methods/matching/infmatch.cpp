// Inf-Match (Tan et al., CVPR 2026), as its published code has it: what the samples of a class,
// real and synthetic, would move in the last layer, fused with their features, is matched in the
// mean at snapshots of one expert together, along random directions.
#include <algorithm>

#include "losses/influence.h"
#include "methods/matching/class_matching.h"
#include "methods/matching/matching.h"
#include "retort/core/error.h"

namespace retort::methods {
namespace {

constexpr double kScale = 100;               // of the gap, beside the cross-entropy
constexpr int64_t kNumbersAtOnce = 1 << 24;  // of directions, 64 MB

struct Options : ClassMatchingOptions {
  double influence_weight = 0.2;
  int64_t least_snapshots = 2;
  int64_t most_snapshots = 3;
  int64_t directions = 0;

  Options() { real_batch = 1024; }
  void declare(OptionSet& set) {
    ClassMatchingOptions::declare(set);
    set.add("influence_weight", influence_weight,
            "weight of a sample's gradient by the last layer beside its features", {.min = 0});
    set.add("least_snapshots", least_snapshots,
            "snapshots of an expert that an iteration compares at together, at least", {.min = 1});
    set.add("most_snapshots", most_snapshots, "and at most", {.min = 1});
    set.add("directions", directions,
            "random directions along which means are compared, drawn in every iteration; 0: all, "
            "in closed form",
            {.min = 0, .max = 1e6});
  }
};

class InfluenceMatching : public ClassMatching {
 public:
  InfluenceMatching(const Context& context, const Options& options)
      : ClassMatching(context, options, "infmatch"), options_(options) {
    Problems problems;
    if (options.most_snapshots < options.least_snapshots)
      problems.add("--most-snapshots " + std::to_string(options.most_snapshots) +
                   " is less than --least-snapshots " + std::to_string(options.least_snapshots));
    problems.raise("preparing 'infmatch'");
  }

 protected:
  /// Trained ones alone, of different ages.
  Networks draw_networks(uint64_t iteration) const override {
    RandomStream stream(context().seed, "infmatch.networks", iteration);
    const int64_t expert = stream.uniform_int(pool().experts());
    const int64_t more = options_.most_snapshots - options_.least_snapshots + 1;
    const int64_t count =
        std::min(options_.least_snapshots + stream.uniform_int(more), pool().oldest());
    Networks networks;
    for (const int64_t age : stream.sample(pool().oldest(), count))
      networks.compared.push_back(pool().network(expert, age + 1));
    networks.trained = pool().network(stream.uniform_int(pool().experts()), pool().oldest());
    return networks;
  }
  std::vector<std::string> taps() const override { return {"features", "logits"}; }
  bool one_augmentation() const override { return false; }

  FeatureGap compare(const ClassView& seen) override {
    std::vector<at::Tensor> real;
    std::vector<losses::InfluenceMean> synthetic;
    std::vector<at::Tensor> means;
    for (size_t k = 0; k < seen.real.size(); ++k) {
      real.push_back(mean_of(seen.real[k], seen.label).value().flatten());
      synthetic.push_back(mean_of(seen.synthetic[k], seen.label));
      means.push_back(synthetic.back().value().flatten());
    }
    const losses::VectorGap gap = apart(at::cat(real), at::cat(means));
    FeatureGap found{gap.value * kScale, {}};
    const std::vector<at::Tensor> slopes = (gap.synthetic * kScale).chunk(std::ssize(means));
    for (size_t k = 0; k < synthetic.size(); ++k) {
      const int64_t classes = seen.synthetic[k].at("logits").size(1);
      const auto by = synthetic[k].pullback(slopes[k].view({classes, -1}));
      found.slopes.push_back({{"features", by.features}, {"logits", by.logits}});
    }
    return found;
  }

 private:
  losses::InfluenceMean mean_of(const Taps& taps, int64_t label) const {
    return {taps.at("features"), taps.at("logits"), label, options_.influence_weight};
  }

  /// The same directions for all classes of an iteration, some at a time.
  losses::VectorGap apart(const at::Tensor& real, const at::Tensor& synthetic) const {
    if (options_.directions == 0) return losses::gap_along_all(real, synthetic);
    const int64_t size = real.size(0), step = std::max<int64_t>(1, kNumbersAtOnce / size);
    losses::VectorGap whole{at::zeros({}, real.options()), at::zeros_like(real)};
    for (int64_t at = 0; at < options_.directions; at += step) {
      const at::Tensor some =
          at::empty({std::min(step, options_.directions - at), size}, at::kFloat);
      RandomStream(context().seed, "infmatch.directions", iteration(), static_cast<uint64_t>(at))
          .fill_normal(some.data_ptr<float>(), some.numel());
      const losses::VectorGap part = losses::gap_along(real, synthetic, some.to(real.options()));
      const double share =
          static_cast<double>(some.size(0)) / static_cast<double>(options_.directions);
      whole.value += part.value * share;
      whole.synthetic += part.synthetic * share;
    }
    return whole;
  }

  const Options options_;
};

}  // namespace

std::unique_ptr<Method> make_infmatch() {
  return std::make_unique<MethodOf<Options, InfluenceMatching>>(
      LoopDefaults{.iterations = 20000,
                   .image_learning_rate = 0.02,
                   .image_momentum = 0.9,
                   .initialisation = "real",
                   .protocol = "ncfm",
                   .augmentation = "all:color_crop_cutout",
                   .image_optimiser = "adam",
                   .clamp_pixels = true},
      std::vector<std::string>{
          "It is the method of the published code, in its one published setting: gradients of the "
          "last layer fused with features, compared by their means; the influence on the whole "
          "network by products with its Hessian, which the code has as an addition that the "
          "setting leaves off, is not here.",
          "Without --directions the gap is the mean over all directions, in closed form; the "
          "published code draws 4,096 for every class, the recipes as many for every iteration.",
          "All images move at once, by comparison and cross-entropy together, with Adam at a "
          "constant rate and without a weight decay; the published code steps one AdamW after "
          "every class for each of the two, and halves its rate where the loss has not fallen for "
          "500 iterations.",
          "Rates are in the units of normalised pixels; those of the published code, whose pixels "
          "go from 0 to 1, are a quarter of that for CIFAR-10.",
          "Experts are those of `retort experts`, SGD at a constant rate without momentum or "
          "decay, all of whose epochs are drawn from; the published ones have 0.01 with momentum "
          "0.9, a decay of 5e-4 and two drops of the rate, and every second epoch is kept.",
          "Students are trained on hard labels; the published code can give them a teacher's."});
}

}  // namespace retort::methods
