// The curves of a run. No torch here.
#pragma once

#include <optional>
#include <vector>

#include "report/record_fields.h"
#include "retort/report/page.h"

namespace retort::report {

/// The loss over iterations with its running mean; nothing of a run without any.
std::optional<Chart> loss_chart(const std::vector<Json>& iterations);

/// A line for each network that judged the set during the run.
std::optional<Chart> validation_chart(const std::vector<Json>& validations);

}  // namespace retort::report
