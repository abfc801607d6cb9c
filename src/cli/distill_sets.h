// Several sets of one recipe, a seed each.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/distill_command.h"

namespace retort::cli {

/// Fresh settings of the same method and parametrisation.
using MakeSettings = std::function<std::unique_ptr<DistillSettings>()>;

/// What was given to `asked`, given to fresh settings but for the seed and the folder.
std::unique_ptr<DistillSettings> given_again(const DistillSettings& asked,
                                             const MakeSettings& make);

/// Distils a set for each of the seeds into `asked.out`/seed-N, one after the other, and goes on
/// where an earlier start was; prints where they are. The exit code.
int distil_sets(const Environment& environment, const DistillSettings& asked,
                const std::vector<std::string>& seeds, const MakeSettings& make);

}  // namespace retort::cli
