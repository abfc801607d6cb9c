// A parametrisation by name and options.
#pragma once

#include <map>

#include "core/registry.h"
#include "retort/synthetic/parametrisation.h"
#include "support/support.h"

namespace retort::synthetic {

using Settings = std::map<std::string, std::string>;

inline std::unique_ptr<Parametrisation> made(const std::string& name, const Settings& settings,
                                             ParametrisationInput input) {
  const auto kind = find_entry(std::span(parametrisation_table()), "parametrisation", name).make();
  OptionSet set;
  kind->declare(set);
  Problems problems;
  for (const auto& [option, value] : settings) set.set(option, value, option, problems);
  problems.raise("making " + name);
  return kind->make(input);
}

inline ParametrisationInput in_double(const SetLayout& budget) {
  ParametrisationInput input{budget};
  input.type = at::kDouble;
  return input;
}

/// Fixed numbers without a pattern, [shape] of doubles.
inline at::Tensor numbers(at::IntArrayRef shape, double step = 0.7) {
  return at::arange(c10::multiply_integers(shape), at::kDouble).mul(step).sin().view(shape);
}

}  // namespace retort::synthetic
