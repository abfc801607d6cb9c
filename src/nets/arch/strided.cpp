// The network of class-incremental streams (Gupta et al., La-MAML, NeurIPS 2020): three strided
// convolutions and two hidden linear layers, without norms, which would mix what tasks share.
#include <fmt/format.h>

#include "nets/arch/architectures.h"
#include "nets/layer_builder.h"

namespace retort::nets {

Architecture strided(Variants& variants, const Shape& shape) {
  const int64_t width = variants.number('w', 1, 1024, 160);
  return [width, shape](LayerBuilder& f, at::Tensor x) {
    for (int layer = 1; layer <= 3; ++layer)
      x = f.activate(f.conv(fmt::format("conv{}", layer), x, {width, 3, 2, 1}), Activation::kRelu);
    x = f.activate(f.linear("hidden1", x, 2 * width), Activation::kRelu);
    x = f.activate(f.linear("hidden2", x, 2 * width), Activation::kRelu);
    return f.linear("classifier", f.features(x), shape.classes);
  };
}

}  // namespace retort::nets
