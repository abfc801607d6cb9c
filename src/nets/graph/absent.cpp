// In place of the engine where a build has no Highway.
#include "nets/graph/factory.h"

namespace retort::nets {

EngineEntry about_graph() {
  return {"graph", false, "this build has no Highway"};
}

std::shared_ptr<const Engine> make_graph(const std::shared_ptr<const Definition>&) {
  return nullptr;
}

}  // namespace retort::nets
