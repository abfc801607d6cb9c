// Putting together what several processes recovered, each its share of the passes.
#pragma once

#include <torch/types.h>

#include <string>
#include <vector>

#include "retort/methods/method.h"

namespace retort::methods {

/// Images [M, C, H, W]: rows of pass i from the run whose --share has the index i mod count. `runs`
/// are run folders or bundles. StateError where a share is missing, or where they differ in more
/// than their share.
at::Tensor gather_shares(const Context& context, const std::vector<std::string>& runs,
                         const std::vector<std::vector<int64_t>>& passes);

}  // namespace retort::methods
