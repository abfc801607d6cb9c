// Second-order products of the engine.
#pragma once

#include "nets/graph/space.h"

namespace retort::nets {

std::vector<GradientJvp> graph_jvp(GraphSpace& space, const std::vector<Group>& groups,
                                   const Query& query);

}  // namespace retort::nets
