// One start of a distillation run, after its options are known: what it works with, and the loop.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "retort/methods/experiment.h"

namespace retort::methods {

/// What a run works with.
struct DistillInput {
  const data::Dataset& data;
  const nets::Network& network;
  Method& method;
  const synthetic::ParametrisationKind& parametrisation;
  const DistillOptions& options;
  std::string recipe;  ///< for the bundle: the options that change the result, no paths
  at::Device device;
  const RunSettings& how;
};

/// Refuses a set that a new run cannot start with, whatever its method and what that needs.
void check_set(const DistillInput& input);

/// A run whose parts are made, once: the set, and the objective or the selector. `input` outlives
/// it.
class Distillation {
 public:
  /// Refuses what cannot be run (a number of images that cannot be, what the method needs and is
  /// not there) and, of a `fresh` run, a bundle to start from that does not fit.
  Distillation(const DistillInput& input, bool fresh);
  Distillation(const Distillation&) = delete;
  Distillation& operator=(const Distillation&) = delete;
  /// False where the run depends on its number of iterations, beside the schedule of the images.
  bool open_ended() const;
  /// For the user; the run's records keep them too.
  std::vector<std::string> notes() const;
  /// Starts in `folder` or goes on there: ends with its bundle, previews and records. Once.
  /// StateError when the loss is not finite or the checkpoint does not fit.
  DistillOutcome run(const RunFolder& folder);

 private:
  const DistillInput& input_;
  std::unique_ptr<synthetic::Parametrisation> parametrisation_;
  synthetic::SetLayout layout_;  // of the images that are trained on
  Context context_;
  std::unique_ptr<Selector> selector_;
  std::unique_ptr<Objective> objective_;
};

}  // namespace retort::methods
