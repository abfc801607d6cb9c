// The ConvNet family (3x3 convolution, instance norm, ReLU, 2x2 average pooling, one linear layer)
// on a CPU in float32: Winograd's convolutions on a blocked layout, everything between them in
// single passes over maps in cache. Rows are cut into micro batches, each of which stays on one
// thread. Without Highway the build takes absent.cpp alone of this folder.
#pragma once

#include "nets/engine.h"

namespace retort::nets {

EngineEntry about_blocked();
/// Null where the network is not of the family, or the engine is not present.
std::shared_ptr<const Engine> make_blocked(const std::shared_ptr<const Definition>& definition);

}  // namespace retort::nets
