// LeNet-5 (LeCun et al. 1998) with ReLU and max pooling. The first linear layer is sized from the
// map that is left: 400 inputs at 28 and 32 pixels.
#include "nets/arch/architectures.h"
#include "nets/layer_builder.h"

namespace retort::nets {

Architecture lenet(Variants&, const Shape& shape) {
  const NormActPool layer{NormKind::kNone, Activation::kRelu, Pool::kMax};
  return [shape, layer](LayerBuilder& f, at::Tensor x) {
    x = f.norm_act_pool("tail1", f.conv("conv1", x, {6, 5, 1, shape.channels == 1 ? 2 : 0}), layer);
    x = f.norm_act_pool("tail2", f.conv("conv2", x, {16, 5, 1, 0}), layer);
    x = f.activate(f.linear("hidden1", x, 120), Activation::kRelu);
    x = f.activate(f.linear("hidden2", x, 84), Activation::kRelu);
    return f.linear("classifier", f.features(x), shape.classes);
  };
}

}  // namespace retort::nets
