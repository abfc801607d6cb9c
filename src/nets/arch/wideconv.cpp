// FRePo's network (Zhou, Nezhadarya and Ba, NeurIPS 2022): 3x3 convolutions, each twice as wide as
// the one before, with ReLU and 2x2 average pool; a norm stands before every convolution but the
// first.
#include <fmt/format.h>

#include "nets/arch/architectures.h"
#include "nets/layer_builder.h"

namespace retort::nets {

Architecture wideconv(Variants& variants, const Shape& shape) {
  const int64_t depth = variants.number('d', 1, 6, 3);
  const int64_t width = variants.number('w', 1, 1024, 128);
  const auto norm = variants.choose<NormKind>({{"bn", NormKind::kBatch},
                                               {"in", NormKind::kInstance},
                                               {"ln", NormKind::kLayer},
                                               {"gn", NormKind::kGroup},
                                               {"nonorm", NormKind::kNone}},
                                              NormKind::kBatch);
  return [depth, width, norm, shape](LayerBuilder& f, at::Tensor x) {
    f.start_normal();
    for (int64_t block = 1; block <= depth; ++block) {
      if (block > 1 && norm != NormKind::kNone)
        x = f.norm(fmt::format("block{}.norm", block), x, norm);
      // One-channel images of side 28 are brought to 32 by the first padding.
      const int64_t padding = block == 1 && shape.channels == 1 ? 3 : 1;
      x = f.conv(fmt::format("block{}.conv", block), x, {width << (block - 1), 3, 1, padding});
      x = f.pool(f.activate(x, Activation::kRelu), Pool::kAverage);
    }
    return f.linear("classifier", f.features(x), shape.classes);
  };
}

}  // namespace retort::nets
