// Mean and deviation by name or by numbers. No torch here.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "retort/data/raw.h"

namespace retort::data {

/// Those of `kind` "cifar10" or "imagenet", or "given": `numbers` are the means of all channels,
/// then their deviations. Nothing for another kind. ConfigError where they do not fit the channels.
std::optional<Normalisation> named_normalisation(const std::string& kind,
                                                 const std::vector<std::string>& numbers,
                                                 int64_t channels);

/// Whether all ids are wnids of ImageNet's thousand classes.
bool are_imagenet(const std::vector<std::string>& class_ids);

}  // namespace retort::data
