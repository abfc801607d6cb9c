// MTT (Cazenavette et al., CVPR 2022) and FTD (Du et al., CVPR 2023): FTD matches flat experts and
// keeps a moving average of the images.
#include "methods/trajectory/matching.h"
#include "methods/trajectory/trajectory.h"

namespace retort::methods {
namespace {

class Mtt : public Method {
 public:
  void declare(OptionSet& set) override { options_.declare(set); }
  LoopDefaults defaults() const override {
    return {.iterations = 5000,
            .image_learning_rate = 1000,
            .image_momentum = 0.5,
            .initialisation = "real"};
  }
  std::vector<std::string> deviations() const override {
    return {
        "The gradient is exact by an adjoint recursion over stored parameters; the reference keeps "
        "the graph of all steps.",
        "The student's rate is kept at 1e-6 or above; the reference lets it turn negative.",
        "Minibatches and augmentations come from named streams; the reference seeds from the "
        "clock.",
        "The last set is the result; published figures are the best over evaluations on the test "
        "set."};
  }
  std::unique_ptr<Objective> objective(const Context& context) override {
    return std::make_unique<TrajectoryMatching>(context, options_);
  }

 private:
  TrajectoryOptions options_;
};

class AveragedMatching : public TrajectoryMatching {
 public:
  AveragedMatching(const Context& context, const TrajectoryOptions& options, double decay)
      : TrajectoryMatching(context, options), decay_(decay) {}
  double average_decay() const override { return decay_; }

 private:
  double decay_;
};

class Ftd : public Mtt {
 public:
  void declare(OptionSet& set) override {
    options_.declare(set);
    set.add("average_decay", average_decay_, "decay of the images' moving average; 0: none",
            {.min = 0, .max = 0.999999});
  }
  std::vector<std::string> deviations() const override {
    std::vector<std::string> all = Mtt::deviations();
    all.emplace_back(
        "Students on the averaged images start anew; the reference goes on from students trained "
        "on the images themselves.");
    return all;
  }
  std::unique_ptr<Objective> objective(const Context& context) override {
    return std::make_unique<AveragedMatching>(context, options_, average_decay_);
  }

 private:
  TrajectoryOptions options_;
  double average_decay_ = 0.9995;
};

}  // namespace

std::unique_ptr<Method> make_mtt() {
  return std::make_unique<Mtt>();
}

std::unique_ptr<Method> make_ftd() {
  return std::make_unique<Ftd>();
}

}  // namespace retort::methods
