// ResNets (He et al. 2016), for small images with a 3x3 stem without pooling, and with the usual
// stem (7x7 of stride 2 and max pooling) as in torchvision. The last pool is the mean over the
// whole map, so they fit any size. The "ap" variant replaces each stride by 2x2 average pooling and
// has no last pool.
#include <fmt/format.h>

#include <array>

#include "nets/arch/architectures.h"
#include "nets/layer_builder.h"

namespace retort::nets {
namespace {

struct Style {
  NormKind norm;
  bool average_pooled;
  bool bottleneck;
};

/// Outputs of a block of 1x1, 3x3, 1x1 convolutions, by the width of the middle one.
constexpr int64_t kExpansion = 4;

Pool halving(const Style& style, int64_t stride) {
  return style.average_pooled && stride == 2 ? Pool::kAverage : Pool::kNone;
}

// conv, norm, ReLU, conv, norm.
at::Tensor basic(LayerBuilder& f, const std::string& name, const at::Tensor& x, int64_t width,
                 int64_t stride, const Style& style) {
  const int64_t step = style.average_pooled ? 1 : stride;
  at::Tensor y = f.conv(name + ".conv1", x, {width, 3, step, 1, false});
  y = f.norm_act_pool(name + ".norm1", y, {style.norm, Activation::kRelu, halving(style, stride)});
  return f.norm(name + ".norm2", f.conv(name + ".conv2", y, {width, 3, 1, 1, false}), style.norm);
}

// As torchvision's, the stride is the 3x3 convolution's.
at::Tensor bottleneck(LayerBuilder& f, const std::string& name, const at::Tensor& x, int64_t width,
                      int64_t stride, const Style& style) {
  const int64_t step = style.average_pooled ? 1 : stride;
  at::Tensor y = f.conv(name + ".conv1", x, {width, 1, 1, 0, false});
  y = f.norm_act_pool(name + ".norm1", y, {style.norm, Activation::kRelu, Pool::kNone});
  y = f.conv(name + ".conv2", y, {width, 3, step, 1, false});
  y = f.norm_act_pool(name + ".norm2", y, {style.norm, Activation::kRelu, halving(style, stride)});
  y = f.conv(name + ".conv3", y, {kExpansion * width, 1, 1, 0, false});
  return f.norm(name + ".norm3", y, style.norm);
}

// The block's own way plus its input, brought to the same shape where it differs; ReLU.
at::Tensor block(LayerBuilder& f, const std::string& name, const at::Tensor& x, int64_t width,
                 int64_t stride, const Style& style) {
  const int64_t out = style.bottleneck ? kExpansion * width : width;
  const at::Tensor y = style.bottleneck ? bottleneck(f, name, x, width, stride, style)
                                        : basic(f, name, x, width, stride, style);
  at::Tensor across = x;
  if (stride != 1 || x.size(1) != out) {
    const int64_t step = style.average_pooled ? 1 : stride;
    across = f.conv(name + ".shortcut.conv", x, {out, 1, step, 0, false});
    across = f.norm(name + ".shortcut.norm", f.pool(across, halving(style, stride)), style.norm);
  }
  return f.activate(f.add(y, across), Activation::kRelu);
}

at::Tensor stem(LayerBuilder& f, at::Tensor x, int64_t width, bool usual, const Style& style) {
  x = f.conv("stem.conv", x,
             usual ? Convolution{width, 7, 2, 3, false} : Convolution{width, 3, 1, 1, false});
  x = f.norm_act_pool("stem.norm", x, {style.norm, Activation::kRelu, Pool::kNone});
  return usual ? at::max_pool2d(x, {3, 3}, {2, 2}, {1, 1}) : x;
}

Architecture resnet(Variants& variants, const Shape& shape, std::array<int64_t, 4> blocks,
                    bool bottlenecks) {
  const NormKind norm = variants.choose<NormKind>(
      {{"in", NormKind::kInstance}, {"bn", NormKind::kBatch}}, NormKind::kInstance);
  const Style style{norm, variants.flag("ap"), bottlenecks};
  const bool usual = variants.flag("imagenet");
  const int64_t first = variants.number('w', 1, 1024, 64);
  return [shape, style, blocks, usual, first](LayerBuilder& f, at::Tensor x) {
    x = stem(f, x, first, usual, style);
    int64_t width = first;
    for (size_t stage = 1; stage <= blocks.size(); ++stage, width *= 2)
      for (int64_t b = 1; b <= blocks[stage - 1]; ++b)
        x = block(f, fmt::format("stage{}.block{}", stage, b), x, width,
                  stage > 1 && b == 1 ? 2 : 1, style);
    if (!style.average_pooled) x = f.global_average(x);
    return f.linear("classifier", f.features(x), shape.classes);
  };
}

}  // namespace

Architecture resnet18(Variants& variants, const Shape& shape) {
  return resnet(variants, shape, {2, 2, 2, 2}, false);
}
Architecture resnet34(Variants& variants, const Shape& shape) {
  return resnet(variants, shape, {3, 4, 6, 3}, false);
}
Architecture resnet50(Variants& variants, const Shape& shape) {
  return resnet(variants, shape, {3, 4, 6, 3}, true);
}
Architecture resnet101(Variants& variants, const Shape& shape) {
  return resnet(variants, shape, {3, 4, 23, 3}, true);
}

}  // namespace retort::nets
