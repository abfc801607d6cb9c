// Features and logits of a group of rows, and the way back.
#pragma once

#include "nets/blocked/call.h"

namespace retort::nets {

/// True for taps that blocked_observation gives: "features" and "logits".
bool are_blocked_taps(const std::vector<std::string>& taps);

Observation blocked_observation(std::shared_ptr<Workspace> space, const Group& group,
                                const Query& query);

}  // namespace retort::nets
