// Residual and plain convolutional networks in float32 on a CPU, by Winograd's convolutions on
// whole batches: gradients, second-order products, observations of logits, features and moments
// with their way back.
#pragma once

#include "nets/engine.h"

namespace retort::nets {

EngineEntry about_graph();
/// Null where an operation of the network is not among the engine's.
std::shared_ptr<const Engine> make_graph(const std::shared_ptr<const Definition>& definition);

}  // namespace retort::nets
