// MTT (Cazenavette et al., CVPR 2022) and FTD (Du et al., CVPR 2023): FTD matches flat experts and
// keeps a moving average of the images.
#include "methods/trajectory/matching.h"
#include "methods/trajectory/trajectory.h"

namespace retort::methods {
namespace {

LoopDefaults mtt_defaults() {
  return {.iterations = 5000,
          .image_learning_rate = 1000,
          .image_momentum = 0.5,
          .initialisation = "real"};
}

struct AveragedOptions : TrajectoryOptions {
  double average_decay = 0.9995;

  void declare(OptionSet& set) {
    TrajectoryOptions::declare(set);
    set.add("average_decay", average_decay,
            "decay of the moving average of the images; 0: no average",
            {.min = 0, .max = 0.999999});
  }
};

class AveragedMatching : public TrajectoryMatching {
 public:
  AveragedMatching(const Context& context, const AveragedOptions& options)
      : TrajectoryMatching(context, options), decay_(options.average_decay) {}
  double average_decay() const override { return decay_; }

 private:
  double decay_;
};

}  // namespace

std::unique_ptr<Method> make_mtt() {
  return std::make_unique<MethodOf<TrajectoryOptions, TrajectoryMatching>>(
      mtt_defaults(),
      trajectory_deviations(
          {"There is no texture mode, in which the images are crops of larger canvases.",
           kDefaultSteps}));
}

std::unique_ptr<Method> make_ftd() {
  return std::make_unique<MethodOf<AveragedOptions, AveragedMatching>>(
      mtt_defaults(),
      trajectory_deviations(
          {"The result is the averaged images; the images themselves, which the reference "
           "evaluates as well, are beside it in not_averaged.safetensors.",
           "Students on the averaged images start anew; the reference goes on from students "
           "trained "
           "on the images themselves.",
           "--average-decay is 0.9995 without an option; the reference's script has 0.999, and the "
           "paper 0.999 to 0.9999.",
           kDefaultSteps}));
}

}  // namespace retort::methods
