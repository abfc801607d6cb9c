// The loop of a method that learns images: start or go on, iterate, checkpoint, result.
#pragma once

#include <memory>

#include "methods/run_under_way.h"

namespace retort::methods {

/// Descends from a start, or from the checkpoint in the run's folder, to the result.
DistillOutcome descend(Run& run, std::unique_ptr<synthetic::Parametrisation> parametrisation,
                       std::unique_ptr<Objective> objective);

}  // namespace retort::methods
