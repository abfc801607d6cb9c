// TESLA (Cui et al., ICML 2023): large minibatches, and soft labels from the target snapshot. Its
// approximate gradient leaves the Hessian out; the constant memory that it was made for is every
// method's here.
#include <fmt/format.h>

#include "methods/trajectory/matching.h"
#include "methods/trajectory/trajectory.h"
#include "retort/core/error.h"

namespace retort::methods {
namespace {

struct Options : TrajectoryOptions {
  bool hessian = true;
  bool teacher_labels = false;

  void declare(OptionSet& set) {
    TrajectoryOptions::declare(set);
    set.add("hessian", hessian, "the exact gradient; no: TESLA's, which leaves the Hessian out");
    set.add("teacher_labels", teacher_labels,
            "soft labels, anew in every iteration: what the expert to be reached predicts for the "
            "images");
  }
};

class TeslaMatching : public TrajectoryMatching {
 public:
  TeslaMatching(const Context& context, const Options& options)
      : TrajectoryMatching(context, options), options_(options) {
    if (options_.teacher_labels && options_.trajectories_per_step > 1)
      throw ConfigError(ErrorMessage{
          "preparing to match trajectories",
          fmt::format("--trajectories-per-step is {}, and each would give its own teacher's labels",
                      options_.trajectories_per_step),
          "with --teacher-labels 1", "leave one of the two out"});
    if (options_.teacher_labels) labels_ = at::zeros({images(), context.layout.classes()});
  }

  at::Tensor targets(const SyntheticSet& set) override {
    if (!options_.teacher_labels) return TrajectoryMatching::targets(set);
    const at::Tensor logits = context().network.predict(target_theta(), at::Tensor(), set.images);
    labels_ = at::softmax(logits, 1);
    return labels_;
  }
  bool with_hessian() const override { return options_.hessian; }

  void complete(synthetic::Bundle& bundle) const override {
    TrajectoryMatching::complete(bundle);
    if (labels_.defined()) bundle.soft_labels = labels_.to(at::kCPU);
  }
  TensorMap state() const override {
    if (!labels_.defined()) return {};
    return {{"labels", labels_}};
  }
  void restore(const TensorMap& state) override {
    if (labels_.defined()) labels_ = state.at("labels").to(context().device);
  }
  /// Before the first iteration: the classes themselves.
  void start(const SyntheticSet&) override {
    if (labels_.defined())
      labels_ = at::one_hot(context().layout.labels(), context().layout.classes())
                    .to(at::kFloat)
                    .to(context().device);
  }

 private:
  const Options options_;
  at::Tensor labels_;  // [M, K], where a teacher gives them
};

}  // namespace

std::unique_ptr<Method> make_tesla() {
  return std::make_unique<MethodOf<Options, TeslaMatching>>(
      LoopDefaults{.iterations = 10000,
                   .image_learning_rate = 1000,
                   .image_momentum = 0.5,
                   .initialisation = "real"},
      trajectory_deviations(
          {"With --hessian no, the gradient is the paper's approximation in full; the reference "
           "code "
           "loses a factor of 2 of it for the images, so that --image-learning-rate R here moves "
           "them "
           "as far as its lr_img 2 R. The recipes give half of the published lr_img.",
           "Teachers' labels work for any data set; the reference crashes for all but ImageNet.",
           kDefaultSteps}));
}

}  // namespace retort::methods
