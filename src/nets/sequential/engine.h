// Second-order products of sequential networks in one forward-over-reverse sweep of primal and
// tangent: first-order operations only, no autograd graph. On any device, in any type;
// cross-entropy.
#pragma once

#include "nets/engine.h"

namespace retort::nets {

EngineEntry about_sequential();
/// Null where the network is not sequential.
std::shared_ptr<const Engine> make_sequential(const std::shared_ptr<const Definition>& definition);

}  // namespace retort::nets
