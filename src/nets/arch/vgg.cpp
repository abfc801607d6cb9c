// VGG11 (Simonyan and Zisserman 2015) with a norm after each convolution and one linear layer,
// sized from the map that is left: 512 inputs at 28 and 32 pixels, 2048 at 64.
#include <fmt/format.h>

#include "nets/arch/architectures.h"
#include "nets/layer_builder.h"

namespace retort::nets {

Architecture vgg11(Variants& variants, const Shape& shape) {
  const NormKind norm = variants.choose<NormKind>(
      {{"in", NormKind::kInstance}, {"bn", NormKind::kBatch}}, NormKind::kInstance);
  return [shape, norm](LayerBuilder& f, at::Tensor x) {
    constexpr int64_t kWidths[] = {64, 128, 256, 256, 512, 512, 512, 512};
    constexpr bool kPooled[] = {true, true, false, true, false, true, false, true};
    for (int i = 0; i < 8; ++i) {
      const int64_t padding = i == 0 && shape.channels == 1 ? 3 : 1;
      x = f.conv(fmt::format("conv{}", i + 1), x, {kWidths[i], 3, 1, padding});
      x = f.norm_act_pool(fmt::format("norm{}", i + 1), x,
                          {norm, Activation::kRelu, kPooled[i] ? Pool::kMax : Pool::kNone});
    }
    return f.linear("classifier", f.features(x), shape.classes);
  };
}

}  // namespace retort::nets
