// Numbers that run away while they stay finite: a rate is too high, and the loss may not show it.
#pragma once

#include <torch/types.h>

#include <optional>
#include <string>
#include <vector>

#include "retort/methods/method.h"

namespace retort::methods {

/// What has left the range of sense after `iterations` iterations, and the option to lower; nothing
/// where all is well. `images` are normalised, in deviations of the data.
std::optional<std::string> runaway(const at::Tensor& images,
                                   const std::vector<synthetic::ParameterGroup>& learned,
                                   int64_t iterations);

}  // namespace retort::methods
