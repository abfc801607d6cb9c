// Back-propagation through training with momentum: with pixels the baseline of Deng and Russakovsky
// (NeurIPS 2022), with memories their "Remember the Past"; with a window the truncated form of Feng
// et al. (ICLR 2024).
#include <algorithm>

#include "core/sizes.h"
#include "methods/rate_options.h"
#include "methods/unrolled/through_training.h"
#include "methods/unrolled/unrolled.h"
#include "retort/core/error.h"

namespace retort::methods {
namespace {

constexpr double kSmallestRate = 1e-6;

struct Options {
  int64_t inner_steps = 150;
  int64_t window = 0;
  bool random_window = false;
  int64_t synthetic_per_class = 32;
  int64_t real_per_class = 64;
  int64_t classes_per_step = 0;
  double student_learning_rate = 0.01;
  double student_rate_learning_rate = 0;
  double student_momentum = 0.9;
  double student_weight_decay = 0;
  double label_learning_rate = 0;
  bool checkpoint_steps = false;

  void declare(OptionSet& set) {
    set.add("inner_steps", inner_steps, "steps of a training on the synthetic set (T)",
            {.min = 1, .max = 100000});
    set.add("window", window, "number of last steps that are differentiated through; 0: all steps",
            {.min = 0});
    set.add("random_window", random_window,
            "trainings end after a random number of steps, from --window to all");
    set.add("synthetic_per_class", synthetic_per_class,
            "synthetic images of each class in an inner step; 0: all", {.min = 0});
    set.add("real_per_class", real_per_class,
            "real images of each class that the loss is computed on", {.min = 1});
    set.add(
        "classes_per_step", classes_per_step,
        "number of classes that an iteration draws (the network keeps its outputs for all); 0: all",
        {.min = 0});
    set.add("student_learning_rate", student_learning_rate, "learning rate of the inner steps",
            {.min = kSmallestRate});
    set.add("student_rate_learning_rate", student_rate_learning_rate,
            "learning rate of that rate; 0: it is not learned", {.min = 0});
    set.add("student_momentum", student_momentum, "momentum of the inner steps",
            {.min = 0, .max = 0.9999});
    set.add("student_weight_decay", student_weight_decay, "weight decay of the inner steps",
            {.min = 0});
    set.add("label_learning_rate", label_learning_rate,
            "learning rate of soft labels; 0: hard labels", {.min = 0});
    set.add("checkpoint_steps", checkpoint_steps,
            "keep 2 sqrt(T) parameter vectors in place of T, for a third more time", {},
            Role::kExecution);
  }
};

class Bptt : public ThroughTraining {
 public:
  Bptt(const Context& context, const Options& options)
      : ThroughTraining(context),
        options_(options),
        rate_(at::full({1}, options.student_learning_rate, at::kDouble)) {
    if (options_.label_learning_rate > 0)
      labels_ = at::one_hot(context.layout.labels(), context.layout.classes())
                    .to(at::kFloat)
                    .to(context.device);
    const int64_t classes = context.layout.classes();
    if (options_.classes_per_step > classes)
      throw ConfigError(ErrorMessage{
          "preparing to learn through training",
          fmt::format("--classes-per-step {} of {} classes", options_.classes_per_step, classes),
          fmt::format("0 (all) to {}", classes),
          {}});
    if (options_.random_window && options_.window == 0)
      throw ConfigError(ErrorMessage{"preparing to learn through training",
                                     "--random-window without a --window",
                                     "a window of at least 1 step",
                                     {}});
  }

  void begin(int64_t iteration, const SyntheticSet& set) override {
    rate_.clamp_min_(kSmallestRate);
    if (labels_.defined()) labels_.clamp_min_(0);
    const int64_t classes = context().layout.classes(), wanted = options_.classes_per_step;
    chosen_ = RandomStream(context().seed, "unrolled.classes", static_cast<uint64_t>(iteration))
                  .sample(classes, wanted == 0 ? classes : wanted);
    std::sort(chosen_.begin(), chosen_.end());
    ThroughTraining::begin(iteration, set);
  }

  std::vector<synthetic::ParameterGroup> learned() override {
    std::vector<synthetic::ParameterGroup> all;
    if (options_.student_rate_learning_rate > 0)
      all.push_back({.name = "student_learning_rate",
                     .value = rate_,
                     .learning_rate = options_.student_rate_learning_rate,
                     .momentum = 0.5,
                     .rate_option = kStudentRateOptions});
    if (labels_.defined())
      all.push_back({.name = "labels",
                     .value = labels_,
                     .learning_rate = options_.label_learning_rate,
                     .momentum = 0.5,
                     .rate_option = kLabelRateOption});
    return all;
  }
  void complete(synthetic::Bundle& bundle) const override {
    bundle.student_learning_rate = std::max(rate_.item<double>(), kSmallestRate);
    if (!labels_.defined()) return;
    bundle.soft_labels = labels_.clamp_min(0).to(at::kCPU);
    bundle.soft_label_kind = "weights";
  }

 protected:
  int64_t length(uint64_t iteration) const {
    const int64_t shortest = std::min(options_.window, options_.inner_steps);
    if (!options_.random_window) return options_.inner_steps;
    return shortest + RandomStream(context().seed, "unrolled.window", iteration)
                          .uniform_int(options_.inner_steps - shortest + 1);
  }

  std::vector<train::UnrollStep> draw_steps(uint64_t iteration) override {
    const std::vector<int64_t> offsets = context().layout.offsets();
    const std::vector<int64_t>& counts = context().layout.counts;
    std::vector<train::UnrollStep> steps;
    for (int64_t k = 0; k < length(iteration); ++k) {
      const auto step = static_cast<uint64_t>(k);
      std::vector<int64_t> rows;
      for (const int64_t c : chosen_) {
        const auto at = to_size(c);
        const int64_t wanted = options_.synthetic_per_class;
        const int64_t each = wanted == 0 ? counts[at] : std::min(wanted, counts[at]);
        RandomStream draw(context().seed, "unrolled.batch", iteration, step, at);
        for (const int64_t i : draw.sample(counts[at], each)) rows.push_back(offsets[at] + i);
      }
      steps.push_back(
          {at::tensor(rows, at::kLong), augmentation("unrolled.augment", iteration, step)});
    }
    return steps;
  }

  std::vector<int64_t> draw_real(uint64_t iteration) override {
    std::vector<int64_t> rows;
    for (const int64_t c : chosen_) {
      const RandomStream draw(context().seed, "unrolled.real", iteration, static_cast<uint64_t>(c));
      const std::vector<int64_t> drawn = real().rows(draw, c, options_.real_per_class);
      rows.insert(rows.end(), drawn.begin(), drawn.end());
    }
    return rows;
  }

  train::UnrollOptions how() const override {
    train::UnrollOptions how;
    how.momentum = options_.student_momentum;
    how.weight_decay = options_.student_weight_decay;
    how.window = options_.window;
    how.checkpoints = options_.checkpoint_steps;
    return how;
  }
  void prepare(const SyntheticSet& set, train::UnrollSet& inner) const override {
    inner.learning_rate = rate_.item<double>();
    if (labels_.defined()) inner.targets = labels_.to(set.images.scalar_type());
  }
  std::vector<at::Tensor> gradients_of_learned(const train::UnrollGradient& found) const override {
    std::vector<at::Tensor> all;
    if (options_.student_rate_learning_rate > 0)
      all.push_back(at::full({1}, found.learning_rate, at::kDouble));
    if (labels_.defined()) all.push_back(found.targets.to(at::kFloat));
    return all;
  }

 private:
  const Options options_;
  at::Tensor rate_;              // float64 [1]
  at::Tensor labels_;            // [M, K] weights of the classes, where they are learned
  std::vector<int64_t> chosen_;  // classes of the iteration, ascending
};

}  // namespace

std::unique_ptr<Method> make_bptt() {
  return std::make_unique<MethodOf<Options, Bptt>>(
      LoopDefaults{.iterations = 10000,
                   .image_learning_rate = 0.1,
                   .image_momentum = 0.5,
                   .initialisation = "noise",
                   .protocol = "rtp",
                   .augmentation = "none",
                   .clip_norm = 2},
      std::vector<std::string>{
          "Augmentations are drawn anew for every inner step and for the real batch; the reference "
          "draws one for all steps of an iteration and for its real batch.",
          "The reference's penalty of the coefficients is left out: by an error it never reached "
          "them.",
          "Images are decoded once an iteration and cotangents pulled back once, which is the "
          "same; "
          "the reference decodes every minibatch.",
          "Random windows are drawn every iteration; the inner optimiser is SGD, where truncated "
          "training uses Adam, and the largest gradient norm is fixed.",
          "The last set is the result; the reference reports an iteration chosen on the test "
          "set."});
}

}  // namespace retort::methods
