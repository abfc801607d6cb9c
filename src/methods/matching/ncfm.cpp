// NCFM (Wang et al., CVPR 2025): the images minimise, and a network that makes the frequency
// arguments maximises, the discrepancy between the characteristic functions of real and synthetic
// features of every class, at networks between an expert's beginning and its end.
#include "core/item_sum.h"
#include "losses/characteristic.h"
#include "losses/unit_rows.h"
#include "methods/matching/class_matching.h"
#include "methods/matching/frequency_sampler.h"
#include "methods/matching/matching.h"

namespace retort::methods {
namespace {

constexpr double kScale = 300;  // of the discrepancy, beside the cross-entropy

struct Options : ClassMatchingOptions {
  int64_t frequency_arguments = 1024;
  double amplitude_weight = 0.5;
  bool sampler = true;
  double sampler_learning_rate = 1e-3;
  std::string network_ages = "blends";

  Options() { real_batch = 1024; }
  void declare(OptionSet& set) {
    ClassMatchingOptions::declare(set);
    set.add("frequency_arguments", frequency_arguments,
            "points at which characteristic functions are compared, drawn in every iteration",
            {.min = 32, .max = 1e6});
    set.add("amplitude_weight", amplitude_weight,
            "weight of the difference of amplitudes; that of phases weighs the rest",
            {.min = 0, .max = 1});
    set.add("sampler", sampler, "a network learns where to compare; no: the points are normals");
    set.add("sampler_learning_rate", sampler_learning_rate,
            "learning rate of that network (SGD with a momentum of 0.5)", {.min = 0});
    set.add("network_ages", network_ages,
            "whose features: blends of an expert's beginning and end, or snapshots of any age",
            {.choices = {"blends", "snapshots"}});
  }
};

class CharacteristicMatching : public ClassMatching {
 public:
  CharacteristicMatching(const Context& context, const Options& options)
      : ClassMatching(context, options, "ncfm"),
        options_(options),
        sampler_(context.network.feature_size(), options.frequency_arguments),
        psi_(sampler_.initial(RandomStream(context.seed, "ncfm.sampler")).to(context.device)) {}

  Cotangents evaluate(const SyntheticSet& set, int64_t step) override {
    draw_frequencies(set.images);
    Cotangents result = ClassMatching::evaluate(set, step);
    if (options_.sampler)
      result.learned = {sampled_.pullback(d_frequencies_->total() * kScale).to(psi_.scalar_type())};
    return result;
  }

  std::vector<synthetic::ParameterGroup> learned() override {
    if (!options_.sampler) return {};
    return {{.name = "sampler",
             .value = psi_,
             .learning_rate = options_.sampler_learning_rate,
             .momentum = 0.5,
             .optimizer = "sgd",
             .schedule = "constant",
             .direction = synthetic::Direction::kAscent,
             .rate_option = "--sampler-learning-rate"}};
  }

 protected:
  Networks draw_networks(uint64_t iteration) const override {
    RandomStream stream(context().seed, "ncfm.networks", iteration);
    const int64_t expert = stream.uniform_int(pool().experts());
    const at::Tensor last = pool().network(expert, pool().oldest());
    if (options_.network_ages == "snapshots")
      return {{pool().network(expert, stream.uniform_int(pool().oldest() + 1))}, last};
    return {{at::lerp(last, pool().network(expert, 0), stream.uniform())}, last};
  }
  bool one_augmentation() const override { return false; }

  FeatureGap compare(const ClassView& seen) override {
    const losses::UnitRows r(seen.real[0].at("features")), s(seen.synthetic[0].at("features"));
    const losses::CharacteristicDiscrepancy found = losses::characteristic_discrepancy(
        r.values, s.values, frequencies_, options_.amplitude_weight, options_.sampler);
    if (options_.sampler) d_frequencies_->add(found.frequencies);
    return {found.value * kScale, {{{"features", s.pullback(found.synthetic) * kScale}}}};
  }

 private:
  /// One draw serves all classes of an iteration.
  void draw_frequencies(const at::Tensor& like) {
    FrequencySampler::Draws draws =
        sampler_.draw(RandomStream(context().seed, "ncfm.frequencies", iteration()));
    draws.noise = draws.noise.to(like.options());
    frequencies_ = draws.normals = draws.normals.to(like.options());
    if (!options_.sampler) return;
    sampled_ = sampler_.sample(psi_.to(like.options()), draws);
    frequencies_ = sampled_.arguments;
    d_frequencies_.emplace(*context().group, frequencies_);
  }

  const Options options_;
  const FrequencySampler sampler_;
  at::Tensor psi_;  // of the sampler, learned
  SampledFrequencies sampled_;
  at::Tensor frequencies_;                // [M, F], of the iteration
  std::optional<ItemSum> d_frequencies_;  // of all classes
};

}  // namespace

std::unique_ptr<Method> make_ncfm() {
  return std::make_unique<MethodOf<Options, CharacteristicMatching>>(
      LoopDefaults{.iterations = 20000,
                   .image_learning_rate = 0.02,
                   .image_momentum = 0.9,
                   .initialisation = "real",
                   .protocol = "ncfm",
                   .augmentation = "all:color_crop_cutout",
                   .image_optimiser = "adam",
                   .clamp_pixels = true},
      std::vector<std::string>{
          "The sampler is that of the paper: a mixture of frequency-arguments / 16 normals, every "
          "argument with normals of its own; the published code repeats four rows sixteen times "
          "and has it off in all of its settings.",
          "One draw of frequency arguments serves all classes of an iteration, and the sampler "
          "takes one step of the sum of the classes; the published code draws and steps for every "
          "class.",
          "All images move at once, by comparison and cross-entropy together; the published code "
          "steps one AdamW after every class for each of the two, which with its moments moves an "
          "image about 2 sqrt(classes) times as far in an iteration. --image-learning-rate is for "
          "that to be made up.",
          "Adam without a weight decay, at a constant rate; the published code's decay is 5e-4, "
          "and "
          "its rate is halved where the loss has not fallen for 500 iterations.",
          "Rates are in the units of normalised pixels; those of the published code, whose pixels "
          "go from 0 to 1, are a quarter of that for CIFAR-10.",
          "Experts are those of `retort experts`, SGD at a constant rate without momentum or "
          "decay, in "
          "the recipes 0.1 with the published augmentation and CutMix; the published ones have "
          "0.01 "
          "with momentum 0.9, a decay of 5e-4, and two drops of the rate.",
          "Soft labels by a pretrained network, which the paper names as an addition, are left "
          "out."});
}

}  // namespace retort::methods
