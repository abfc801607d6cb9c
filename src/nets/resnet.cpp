// ResNet18 (He et al. 2016) for small images: a 3x3 stem without pooling. Its last pool is the mean
// over the whole map (4x4 at 28 and 32 pixels), so it fits other sizes. The "ap" variant replaces
// each stride by 2x2 average pooling and has no last pool.
#include <fmt/format.h>

#include "nets/architectures.h"
#include "retort/nets/forward.h"

namespace retort::nets {
namespace {

struct Style {
  NormKind norm;
  bool average_pooled;
};

// conv, norm, ReLU, conv, norm; plus the input, brought to the same shape where it differs; ReLU.
at::Tensor basic_block(Forward& f, const std::string& name, const at::Tensor& x, int64_t width,
                       int64_t stride, Style style) {
  const int64_t step = style.average_pooled ? 1 : stride;
  const Pool halving = style.average_pooled && stride == 2 ? Pool::kAverage : Pool::kNone;
  at::Tensor y = f.conv(name + ".conv1", x, {width, 3, step, 1, false});
  y = f.tail(name + ".norm1", y, {style.norm, Activation::kRelu, halving});
  y = f.norm(name + ".norm2", f.conv(name + ".conv2", y, {width, 3, 1, 1, false}), style.norm);
  at::Tensor across = x;
  if (stride != 1 || x.size(1) != width) {
    across = f.conv(name + ".shortcut.conv", x, {width, 1, step, 0, false});
    across = f.norm(name + ".shortcut.norm", f.pool(across, halving), style.norm);
  }
  return f.activate(y + across, Activation::kRelu);
}

}  // namespace

Architecture resnet18(Variants& variants, const Shape& shape) {
  const NormKind norm = variants.choose<NormKind>(
      {{"in", NormKind::kInstance}, {"bn", NormKind::kBatch}}, NormKind::kInstance);
  const Style style{norm, variants.flag("ap")};
  return [shape, style](Forward& f, at::Tensor x) {
    x = f.conv("stem.conv", x, {64, 3, 1, 1, false});
    x = f.tail("stem.norm", x, {style.norm, Activation::kRelu, Pool::kNone});
    for (int64_t stage = 1, width = 64; stage <= 4; ++stage, width *= 2) {
      x = basic_block(f, fmt::format("stage{}.block1", stage), x, width, stage == 1 ? 1 : 2, style);
      x = basic_block(f, fmt::format("stage{}.block2", stage), x, width, 1, style);
    }
    if (!style.average_pooled) x = f.global_average(x);
    return f.linear("classifier", f.features(x), shape.classes);
  };
}

}  // namespace retort::nets
