// A perceptron with two hidden layers of ReLU.
#include "nets/arch/architectures.h"
#include "nets/layer_builder.h"

namespace retort::nets {

Architecture mlp(Variants& variants, const Shape& shape) {
  const int64_t width = variants.number('w', 1, 1024, 128);
  return [width, shape](LayerBuilder& f, at::Tensor x) {
    x = f.activate(f.linear("hidden1", x, width), Activation::kRelu);
    x = f.activate(f.linear("hidden2", x, width), Activation::kRelu);
    return f.linear("classifier", f.features(x), shape.classes);
  };
}

}  // namespace retort::nets
