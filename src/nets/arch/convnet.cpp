// ConvNet (Gidaris and Komodakis 2018, as in Zhao et al. 2021): blocks of 3x3 convolution, norm,
// activation and 2x2 pool, then a linear layer. Fits any size that its pools leave something of.
#include <fmt/format.h>

#include "nets/arch/architectures.h"
#include "nets/layer_builder.h"
#include "nets/specification.h"

namespace retort::nets {

Architecture convnet(Variants& variants, const Shape& shape) {
  const int64_t depth = variants.number('d', 1, 6, kConvnetDepth);
  const int64_t width = variants.number('w', 1, 1024, 128);
  NormActPool layer;
  layer.norm = variants.choose<NormKind>({{"in", NormKind::kInstance},
                                          {"bn", NormKind::kBatch},
                                          {"ln", NormKind::kLayer},
                                          {"gn", NormKind::kGroup},
                                          {"nonorm", NormKind::kNone}},
                                         NormKind::kInstance);
  layer.activation = variants.choose<Activation>({{"relu", Activation::kRelu},
                                                  {"sigmoid", Activation::kSigmoid},
                                                  {"leaky", Activation::kLeaky},
                                                  {"swish", Activation::kSwish},
                                                  {"tanh", Activation::kTanh},
                                                  {"softplus", Activation::kSoftplus}},
                                                 Activation::kRelu);
  layer.pool = variants.choose<Pool>(
      {{"avgpool", Pool::kAverage}, {"maxpool", Pool::kMax}, {"nopool", Pool::kNone}},
      Pool::kAverage);
  return [depth, width, layer, shape](LayerBuilder& f, at::Tensor x) {
    for (int64_t block = 1; block <= depth; ++block) {
      // One-channel images of side 28 are brought to 32 by the first padding.
      const int64_t padding = block == 1 && shape.channels == 1 ? 3 : 1;
      x = f.conv(fmt::format("block{}.conv", block), x, {width, 3, 1, padding});
      x = f.norm_act_pool(fmt::format("block{}.norm", block), x, layer);
    }
    return f.linear("classifier", f.features(x), shape.classes);
  };
}

}  // namespace retort::nets
