// Stands for the engine in builds without Highway.
#include "nets/onednn/factory.h"

namespace retort::nets {

EngineEntry about_onednn() {
  return {"winograd", false, "Highway is wanted: ConvNets run at libtorch's speed"};
}

std::shared_ptr<const Engine> make_onednn(const std::shared_ptr<const Definition>&) {
  return nullptr;
}

}  // namespace retort::nets
