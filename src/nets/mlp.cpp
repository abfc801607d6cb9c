// A perceptron with two hidden layers of 128 and ReLU.
#include "nets/architectures.h"
#include "retort/nets/forward.h"

namespace retort::nets {

Architecture mlp(Variants&, const Shape& shape) {
  return [shape](Forward& f, at::Tensor x) {
    x = f.activate(f.linear("hidden1", x, 128), Activation::kRelu);
    x = f.activate(f.linear("hidden2", x, 128), Activation::kRelu);
    return f.linear("classifier", f.features(x), shape.classes);
  };
}

}  // namespace retort::nets
