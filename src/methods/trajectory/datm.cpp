// DATM (Guo et al., ICLR 2024): trajectories of a difficulty that fits the set's size, a range of
// start epochs that widens, soft labels learned from expert logits, and images that an expert
// classifies rightly to start from.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/sizes.h"
#include "methods/rate_options.h"
#include "methods/trajectory/matching.h"
#include "methods/trajectory/trajectory.h"
#include "retort/core/error.h"
#include "retort/data/class_sampler.h"

namespace retort::methods {
namespace {

struct Options : TrajectoryOptions {
  int64_t min_start_epoch = 0;
  int64_t first_max_start_epoch = 10;
  int64_t widening_iterations = 1000;
  double label_learning_rate = 2;
  double skip_above = 1.0;
  bool start_correct = true;

  Options() {
    inner_steps = 80;
    max_start_epoch = 20;
  }
  void declare(OptionSet& set) {
    TrajectoryOptions::declare(set);
    set.add("min_start_epoch", min_start_epoch, "iterations start at this epoch or later",
            {.min = 0});
    set.add("first_max_start_epoch", first_max_start_epoch,
            "the first iterations start below this epoch; 0: below --max-start-epoch from the "
            "beginning",
            {.min = 0});
    set.add("widening_iterations", widening_iterations,
            "iterations until start epochs go up to --max-start-epoch", {.min = 0});
    set.add("label_learning_rate", label_learning_rate,
            "learning rate of the label logits (momentum 0.9)", {.min = 0});
    set.add("skip_above", skip_above,
            "an iteration with a larger loss, or one that is not finite, changes nothing",
            {.min = 0});
    set.add("start_correct", start_correct,
            "start from real images that an expert classifies correctly");
  }
};

class DatmMatching : public TrajectoryMatching {
 public:
  DatmMatching(const Context& context, const Options& options)
      : TrajectoryMatching(context, options),
        options_(options),
        last_(options.max_start_epoch),
        logits_(at::zeros({images(), context.layout.classes()},
                          at::TensorOptions().device(context.device))) {
    const int64_t first = options.first_max_start_epoch > 0 ? options.first_max_start_epoch : last_;
    if (options.min_start_epoch >= first || first > last_)
      throw ConfigError(
          ErrorMessage{"preparing the range of start epochs",
                       fmt::format("--min-start-epoch {}, --first-max-start-epoch {}, "
                                   "--max-start-epoch {}",
                                   options.min_start_epoch, options.first_max_start_epoch, last_),
                       "each larger than the one before (the middle one may be 0)",
                       {}});
  }

  /// Images that the first expert at its end takes for what they are; where a class has too few,
  /// those of the next one.
  at::Tensor starting_images(const at::Tensor& images, bool given) override {
    return options_.start_correct && !given ? rightly_classified(images) : images;
  }

  /// Logits of all experts that are right, averaged.
  void start(const SyntheticSet& set) override {
    const at::Tensor& chosen = set.images;
    const at::Tensor labels = context().layout.labels();
    at::Tensor sum = at::zeros_like(logits_), right = at::zeros({chosen.size(0), 1});
    const int64_t judges = options_.start_correct ? experts().count() : 1;
    for (int64_t e = 0; e < judges; ++e) {
      const at::Tensor said = final_logits(e, chosen);
      at::Tensor counts = at::ones({chosen.size(0), 1});
      if (options_.start_correct)
        counts = said.argmax(1).cpu().eq(labels).to(at::kFloat).unsqueeze(1);
      sum.add_(said * counts.to(said.device()));
      right.add_(counts);
    }
    // Where no expert is right: what the first says, with the true class brought to its top.
    const at::Tensor none = right.eq(0).squeeze(1);
    if (none.any().item<bool>()) {
      at::Tensor said = final_logits(0, chosen).cpu();
      const at::Tensor top = std::get<0>(said.max(1, true));
      said.scatter_(1, labels.unsqueeze(1), top);
      sum = at::where(none.unsqueeze(1).to(sum.device()), said.to(sum.device()), sum);
    }
    logits_.copy_(sum / right.clamp_min(1).to(sum.device()));
  }

  std::vector<synthetic::ParameterGroup> learned() override {
    std::vector<synthetic::ParameterGroup> all = TrajectoryMatching::learned();
    all.push_back({.name = "label_logits",
                   .value = logits_,
                   .learning_rate = options_.label_learning_rate,
                   .momentum = 0.9,
                   .rate_option = kLabelRateOption});
    return all;
  }
  void complete(synthetic::Bundle& bundle) const override {
    TrajectoryMatching::complete(bundle);
    bundle.soft_labels = at::softmax(logits_, 1).to(at::kCPU);
  }

 protected:
  /// U = min(T+, T + floor((T+ - T) it / E)).
  std::pair<int64_t, int64_t> start_epochs(int64_t iteration) const override {
    const int64_t first = options_.first_max_start_epoch, over = options_.widening_iterations;
    if (first == 0 || over == 0) return {options_.min_start_epoch, last_};
    const int64_t now = first + (last_ - first) * std::min(iteration, over) / over;
    return {options_.min_start_epoch, now};
  }
  at::Tensor targets(const SyntheticSet&) override { return labels_ = at::softmax(logits_, 1); }
  std::vector<at::Tensor> pullback_of_targets(const at::Tensor& d) override {
    return {labels_ * (d - (labels_ * d).sum(1, true))};  // through the softmax
  }
  bool accepts(double loss) const override { return loss <= options_.skip_above; }

 private:
  at::Tensor final_logits(int64_t expert, const at::Tensor& images) const {
    const at::Tensor theta = experts().snapshot(expert, experts().epochs()).to(context().device);
    return context().network.predict(theta, at::Tensor(), images);
  }

  at::Tensor rightly_classified(const at::Tensor& fallback) const {
    const synthetic::SetLayout& layout = context().layout;
    const std::vector<int64_t> offsets = layout.offsets();
    const data::ClassSampler real(context().data.train, context().data.preprocessing,
                                  context().device);
    at::Tensor chosen = fallback.clone();
    for (size_t c = 0; c < layout.counts.size(); ++c) {
      std::set<int64_t> taken;  // training rows
      for (int64_t e = 0; e < experts().count(); ++e)
        collect(real, c, e, taken, chosen.slice(0, offsets[c], offsets[c + 1]));
    }
    return chosen;  // what is still missing stays as the options asked for
  }

  /// Fills the rows that are left with images of class c that expert e has right.
  void collect(const data::ClassSampler& real, size_t c, int64_t e, std::set<int64_t>& taken,
               at::Tensor rows) const {
    constexpr size_t kBatch = 256;
    const auto& members = context().data.train.rows_by_class[c];
    const std::vector<int64_t> order =
        RandomStream(context().seed, "datm.start", c).permutation(std::ssize(members));
    const auto full = [&] { return std::ssize(taken) == rows.size(0); };
    for (size_t from = 0; from < order.size() && !full(); from += kBatch) {
      std::vector<int64_t> picked;
      for (size_t i = from; i < std::min(order.size(), from + kBatch); ++i)
        picked.push_back(members[to_size(order[i])]);
      const at::Tensor images = real.images(picked);
      const at::Tensor right = final_logits(e, images).argmax(1).cpu().eq(static_cast<int64_t>(c));
      for (size_t i = 0; i < picked.size() && !full(); ++i) {
        const auto place = std::ssize(taken);
        if (right[static_cast<int64_t>(i)].item<bool>() && taken.insert(picked[i]).second)
          rows[place].copy_(images[static_cast<int64_t>(i)]);
      }
    }
  }

  const Options options_;
  const int64_t last_;
  at::Tensor logits_;  // [M, K], learned
  at::Tensor labels_;  // their softmax
};

}  // namespace

std::unique_ptr<Method> make_datm() {
  return std::make_unique<MethodOf<Options, DatmMatching>>(
      LoopDefaults{.iterations = 10000,
                   .image_learning_rate = 100,
                   .image_momentum = 0.5,
                   .initialisation = "real",
                   .protocol = "datm"},
      trajectory_deviations(
          {"An image that no expert classifies rightly gets the first expert's logits with the "
           "true "
           "class at the top; the reference divides by zero.",
           "Images to start from are all different; the reference may take one again from the next "
           "expert.",
           "Any number of experts is taken; the reference expects 10 files of 10."}));
}

}  // namespace retort::methods
