// Stands for the engine in builds without Highway.
#include "nets/blocked/factory.h"

namespace retort::nets {

EngineEntry about_blocked() {
  return {"blocked", false, "Highway is wanted: ConvNets run at libtorch's speed"};
}

std::shared_ptr<const Engine> make_blocked(const std::shared_ptr<const Definition>&) {
  return nullptr;
}

}  // namespace retort::nets
