// Stands for the engine in builds without oneDNN or Highway.
#include "nets/onednn/factory.h"

namespace retort::nets {

EngineEntry about_onednn() {
  return {"onednn", false, "oneDNN and Highway are wanted: ConvNets run at libtorch's speed"};
}

std::shared_ptr<const Engine> make_onednn(const std::shared_ptr<const Definition>&) {
  return nullptr;
}

}  // namespace retort::nets
