// Students that Python trains, for `retort eval`.
#pragma once

#include <vector>

#include "bindings.h"
#include "retort/eval/learner.h"

namespace retort::python {

/// By name, functions of a lesson that give (predict, predict by averages or None).
std::vector<eval::Learner> learners_of(const py::dict& functions);

}  // namespace retort::python
