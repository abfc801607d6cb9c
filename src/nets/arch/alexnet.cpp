// AlexNet (Krizhevsky et al. 2012) cut down for small images: five convolutions, one linear layer,
// sized from the map that is left. No dropout; no norm unless asked for.
#include <fmt/format.h>

#include "nets/arch/architectures.h"
#include "nets/layer_builder.h"

namespace retort::nets {

Architecture alexnet(Variants& variants, const Shape& shape) {
  const NormKind norm = variants.choose<NormKind>(
      {{"nonorm", NormKind::kNone}, {"in", NormKind::kInstance}, {"bn", NormKind::kBatch}},
      NormKind::kNone);
  struct Layer {
    Convolution conv;
    Pool pool;
  };
  const std::vector<Layer> layers = {{{128, 5, 1, shape.channels == 1 ? 4 : 2}, Pool::kMax},
                                     {{192, 5, 1, 2}, Pool::kMax},
                                     {{256, 3, 1, 1}, Pool::kNone},
                                     {{192, 3, 1, 1}, Pool::kNone},
                                     {{192, 3, 1, 1}, Pool::kMax}};
  return [shape, norm, layers](LayerBuilder& f, at::Tensor x) {
    int number = 0;
    for (const Layer& layer : layers) {
      x = f.conv(fmt::format("conv{}", ++number), x, layer.conv);
      x = f.norm_act_pool(fmt::format("norm{}", number), x, {norm, Activation::kRelu, layer.pool});
    }
    return f.linear("classifier", f.features(x), shape.classes);
  };
}

}  // namespace retort::nets
