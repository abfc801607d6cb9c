#include "augment/moco_views.h"

#include <vector>

#include "retort/augment/crop.h"

namespace retort::augment {
namespace {

constexpr double kAspect = 4.0 / 3;
constexpr int64_t kBlurFrom = 96;

/// A draw for each image, as columns [N, 1, 1, 1].
struct Colours {
  at::Tensor brightness, contrast, saturation, hue, grey;
};

Colours draw_colours(int64_t count, const MocoViewOptions& options, RandomStream& stream) {
  at::Tensor draws = at::zeros({5, count});
  auto value = draws.accessor<float, 2>();
  const auto factor = [&](bool on, double range) {
    const double drawn = stream.uniform(1 - range, 1 + range);
    return static_cast<float>(on ? drawn : 1.0);
  };
  for (int64_t i = 0; i < count; ++i) {
    const bool on = stream.uniform() < options.jitter;
    value[0][i] = factor(on, options.brightness);
    value[1][i] = factor(on, options.contrast);
    value[2][i] = factor(on, options.saturation);
    value[3][i] = factor(on, options.hue) - 1;
    value[4][i] = stream.uniform() < options.grey ? 1 : 0;
  }
  const auto column = [&](int64_t row) { return draws[row].view({count, 1, 1, 1}); };
  return {column(0), column(1), column(2), column(3), column(4)};
}

/// ITU-R 601 luma [N, 1, H, W].
at::Tensor luma(const at::Tensor& x) {
  if (x.size(1) != 3) return x.mean(1, true);
  return 0.299 * x.narrow(1, 0, 1) + 0.587 * x.narrow(1, 1, 1) + 0.114 * x.narrow(1, 2, 1);
}

at::Tensor recoloured(at::Tensor x, const Colours& colours) {
  const auto on = [&](const at::Tensor& column) { return column.to(x.device()); };
  const auto blend = [](const at::Tensor& a, const at::Tensor& b, const at::Tensor& share) {
    return at::clamp(b + share * (a - b), 0, 1);
  };
  x = at::clamp(x * on(colours.brightness), 0, 1);
  x = blend(x, luma(x).mean({2, 3}, true), on(colours.contrast));
  if (x.size(1) != 3) return x;
  x = blend(x, luma(x), on(colours.saturation));
  x = turn_hue(x, colours.hue.view({-1}));
  return x + on(colours.grey) * (luma(x) - x);
}

/// A Gaussian of each image's own deviation, as products with one matrix for rows and columns.
at::Tensor blurred(const at::Tensor& x, double probability, RandomStream& stream) {
  const int64_t count = x.size(0);
  at::Tensor deviations = at::zeros({count, 1, 1, 1});
  for (int64_t i = 0; i < count; ++i) {
    const bool on = stream.uniform() < probability;
    const double drawn = stream.uniform(0.1, 2);
    deviations[i].fill_(on ? drawn : 1e-3);  // next to nothing: the image stays
  }
  const auto along = [&](int64_t side) {
    const at::Tensor place = at::arange(side, at::kFloat);
    const at::Tensor square = (place.unsqueeze(0) - place.unsqueeze(1)).square();
    const at::Tensor weight = (square / (-2 * deviations.square())).exp();
    return (weight / weight.sum(3, true)).to(x.device());
  };
  return at::matmul(at::matmul(along(x.size(2)), x), along(x.size(3)).transpose(2, 3));
}

}  // namespace

at::Tensor turn_hue(const at::Tensor& pixels, const at::Tensor& turns) {
  const at::Tensor red = pixels.select(1, 0), green = pixels.select(1, 1),
                   blue = pixels.select(1, 2);
  const at::Tensor value = pixels.amax(1), chroma = value - pixels.amin(1);
  const at::Tensor safe = chroma.clamp_min(1e-12);
  // The hue in sixths of a turn.
  const at::Tensor hue =
      at::where(value == red, (green - blue) / safe,
                at::where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4));
  const at::Tensor turned = hue + 6 * turns.to(pixels.device()).view({-1, 1, 1});
  std::vector<at::Tensor> channels;
  for (const int64_t sixths : {5, 3, 1}) {
    const at::Tensor k = (turned + sixths).remainder(6);
    channels.push_back(value - chroma * at::minimum(k, 4 - k).clamp(0, 1));
  }
  return at::stack(channels, 1);
}

at::Tensor moco_views(const at::Tensor& pixels, const MocoViewOptions& options,
                      RandomStream& stream) {
  const int64_t height = pixels.size(2), width = pixels.size(3);
  std::vector<Crop> crops;
  for (int64_t i = 0; i < pixels.size(0); ++i) {
    crops.push_back(draw_crop(height, width, options.lowest_area, 1, kAspect, stream));
    crops.back().flip = stream.uniform() < options.flip;
  }
  const CropMap map(crops, {height, width}, {height, width}, pixels.options());
  const Colours colours = draw_colours(pixels.size(0), options, stream);
  const at::Tensor view = recoloured(map.apply(pixels), colours);
  if (std::min(height, width) < kBlurFrom || options.blur <= 0) return view;
  return blurred(view, options.blur, stream);
}

}  // namespace retort::augment
