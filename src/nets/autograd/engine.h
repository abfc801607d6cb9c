// Every call on any network by autograd, on any device.
#pragma once

#include "nets/engine.h"

namespace retort::nets {

EngineEntry about_autograd();
std::shared_ptr<const Engine> make_autograd(const std::shared_ptr<const Definition>& definition);

}  // namespace retort::nets
