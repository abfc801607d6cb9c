// Images of published sets as network input. Files seldom say what space their numbers are in, so
// they are compared with the data: mean, deviation, range, and how far neighbouring pixels agree,
// which whitening takes away.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "retort/core/error.h"
#include "synthetic/import.h"

namespace retort::synthetic {
namespace {

constexpr double kRounding = 1e-4;

bool is_depth(int64_t size) {
  return size == 1 || size == 3;
}

std::string sizes_text(at::IntArrayRef sizes) {
  return fmt::format("{}", fmt::join(sizes, "x"));
}

/// [M, C, H, W] of what is [M, H, W, C], or [M, H, W] in grey.
at::Tensor channels_first(at::Tensor images, const data::Dataset* data,
                          std::vector<std::string>& notes) {
  if (images.dim() == 3 && (!data || data->channels == 1)) {
    notes.push_back("images of shape [M, H, W] were taken as grey ones");
    return images.unsqueeze(1);
  }
  if (images.dim() != 4) return images;
  // Without data only bytes are sure to be pictures of 1 or 3 channels.
  const bool turned = data ? images.size(3) == data->channels && images.size(1) != data->channels
                           : images.scalar_type() == at::kByte && !is_depth(images.size(1)) &&
                                 is_depth(images.size(3));
  if (!turned) return images;
  notes.push_back("images of shape [M, H, W, C] were turned to [M, C, H, W]");
  return images.permute({0, 3, 1, 2}).contiguous();
}

/// Rows of numbers lack their shape; the data's is proposed where it fits.
[[noreturn]] void refuse_rows(int64_t numbers, const data::Dataset* data, const std::string& path) {
  const bool fits = data && data->channels * data->height * data->width == numbers;
  refuse_import(path, fmt::format("its images are rows of {} numbers", numbers),
                "images [M, C, H, W] or [M, H, W, C]",
                fits
                    ? fmt::format("give them their shape, images.reshape(-1, {}, {}, {}) or, where "
                                  "colours lie together, images.reshape(-1, {}, {}, {})",
                                  data->channels, data->height, data->width, data->height,
                                  data->width, data->channels)
                    : "give them their shape: images.reshape(-1, C, H, W) or, where colours lie "
                      "together, images.reshape(-1, H, W, C)");
}

/// Whole numbers that are no bytes: what they are likely to be, and how to save them.
[[noreturn]] void refuse_integers(const at::Tensor& images, const std::string& path) {
  const at::Tensor numbers = images.to(at::kLong);
  const auto low = numbers.min().item<int64_t>(), high = numbers.max().item<int64_t>();
  std::string advice =
      "divide them by the number that stands for white, (images / white).astype('float32'), and "
      "import with --pixels unit";
  if (low >= 0 && high <= 1) advice = "save them as bytes: (images * 255).astype('uint8')";
  if (low >= 0 && high > 1 && high <= 255) advice = "save them as bytes: images.astype('uint8')";
  if (low < 0) advice = "pixels are not below 0: find out what the numbers are, and save floats";
  refuse_import(
      path,
      fmt::format("its images are neither bytes nor floats, but whole numbers from {} to {}", low,
                  high),
      "bytes (uint8) from 0 to 255, or floats", advice);
}

void require_shape(const at::Tensor& images, const data::Dataset& data, const std::string& path) {
  const std::vector<int64_t> wanted = {data.channels, data.height, data.width};
  const at::IntArrayRef found = images.sizes().slice(1);
  if (found == at::IntArrayRef(wanted)) return;
  const bool square = found[1] == found[2] && found[0] == data.channels;
  refuse_import(
      path, "its images are " + sizes_text(found),
      "those of '" + data.name + "', " + sizes_text(wanted),
      square ? fmt::format("give --data that the set was made from, or --resolution {}", found[1])
             : std::string("give --data that the set was made from"));
}

/// Pixels from 0 to 1, which need not be whole bytes, as network input.
at::Tensor from_unit(const at::Tensor& pixels, const data::Preprocessing& preprocessing) {
  if (preprocessing.kind() == "zca")
    return (pixels.flatten(1) - preprocessing.zca_mean())
        .matmul(preprocessing.zca_matrix())
        .view_as(pixels);
  if (preprocessing.kind() != "mean_std") return pixels;
  const auto channel = [](const std::vector<double>& values) {
    return at::tensor(values, at::kDouble).to(at::kFloat).view({1, -1, 1, 1});
  };
  return (pixels - channel(preprocessing.mean())) / channel(preprocessing.deviation());
}

void require_fit(const at::Tensor& images, const data::Preprocessing& preprocessing,
                 const std::string& path) {
  const int64_t channels = images.size(1), pixels = images[0].numel();
  if (preprocessing.kind() == "mean_std" && std::ssize(preprocessing.mean()) != channels)
    refuse_import(path, fmt::format("its images have {} channels, mean and std {}", channels,
                                    preprocessing.mean().size()));
  if (preprocessing.kind() == "zca" && preprocessing.zca_mean().numel() != pixels)
    refuse_import(path, "its images have another size than the whitening");
}

/// What numbers of images look like.
struct Look {
  double low, high, mean, deviation;
  double
      neighbours;  ///< correlation of pixels beside each other; not a number where there are none
};

Look look_at(const at::Tensor& images) {
  const at::Tensor x = images.to(at::kDouble);
  Look look{x.min().item<double>(), x.max().item<double>(), x.mean().item<double>(),
            x.std(/*unbiased=*/false).item<double>(), NAN};
  const int64_t width = x.size(3);
  if (width < 2) return look;
  const at::Tensor centred = x - x.mean({0, 2, 3}, /*keepdim=*/true);
  const at::Tensor left = centred.narrow(3, 0, width - 1), right = centred.narrow(3, 1, width - 1);
  look.neighbours = ((left * right).mean() /
                     (left.square().mean() * right.square().mean()).sqrt().clamp_min(1e-12))
                        .item<double>();
  return look;
}

/// Some of the data, as the network gets them.
at::Tensor some_of(const data::Dataset& data) {
  constexpr int64_t kSome = 500;
  const int64_t count = data.train.size(), step = std::max<int64_t>(count / kSome, 1);
  return data.preprocessing.apply(data.train.images.slice(0, 0, count, step).contiguous(),
                                  at::kCPU);
}

/// "network", "unit" or "bytes" of numbers that are no bytes.
std::string guess(const Look& look, const data::Preprocessing& preprocessing) {
  constexpr double kNoMorePixels = 20;  // normalised images stay below, bytes do not
  if (preprocessing.kind() == "none" && look.high <= kNoMorePixels) return "network";
  if (look.low >= -kRounding && look.high <= 1 + kRounding) return "unit";
  const bool bytes = look.low >= -kRounding && look.high > kNoMorePixels && look.high <= 255.5;
  return bytes ? "bytes" : "network";
}

/// How the numbers differ from those of the data, as far as it speaks for another kind.
void compare(const Look& set, const Look& data, const std::string& kind,
             std::vector<std::string>& notes) {
  constexpr double kSmooth = 0.4, kWhite = 0.3, kRatio = 4;
  const std::string correlations =
      fmt::format("neighbouring pixels correlate by {:.2f}, those of the data by {:.2f}",
                  set.neighbours, data.neighbours);
  if (kind != "zca" && data.neighbours > kSmooth && set.neighbours < kWhite * data.neighbours)
    notes.push_back(correlations +
                    ": the set looks whitened, as MTT's are, or learned from noise; if it is "
                    "whitened, give --normalisation zca");
  if (kind == "zca" && set.neighbours > kSmooth && data.neighbours < kSmooth)
    notes.push_back(correlations +
                    " once whitened: the set looks as if it were not whitened; leave "
                    "--normalisation zca out, or give --pixels unit or bytes");
  const double ratio = set.deviation / std::max(data.deviation, 1e-12);
  if (ratio > kRatio || ratio < 1 / kRatio || std::abs(set.mean - data.mean) > data.deviation)
    notes.push_back(fmt::format(
        "the numbers have mean {:.3g} and deviation {:.3g}, the data's as the network gets them "
        "{:.3g} and {:.3g}: if they are of another kind, say which with --pixels or "
        "--normalisation",
        set.mean, set.deviation, data.mean, data.deviation));
  const bool symmetric = set.low >= -1 - kRounding && set.high <= 1 + kRounding && set.low < -0.9 &&
                         set.high > 0.9 && (data.low < -1.3 || data.high > 1.3);
  if (symmetric)
    notes.push_back(
        "all numbers lie from -1 to 1: if they are pixels on that scale, give --pixels symmetric");
}

}  // namespace

const std::vector<std::string>& import_pixels() {
  static const std::vector<std::string> kinds = {"auto", "network", "unit", "symmetric", "bytes"};
  return kinds;
}

at::Tensor read_pixels(at::Tensor images, const data::Preprocessing& preprocessing, bool own,
                       const ImportOptions& options, std::vector<std::string>& notes,
                       const std::string& path) {
  images = channels_first(std::move(images), options.data, notes);
  if (images.dim() == 2 && images.numel() > 0) refuse_rows(images.size(1), options.data, path);
  if (images.dim() != 4 || images.numel() == 0)
    refuse_import(
        path, fmt::format("its images have the shape [{}]", fmt::join(images.sizes().vec(), ", ")));
  if (options.data) require_shape(images, *options.data, path);
  const bool bytes = images.scalar_type() == at::kByte;
  if (at::isIntegralType(images.scalar_type(), /*includeBool=*/true) && !bytes)
    refuse_integers(images, path);
  if (!bytes && !images.is_floating_point())
    refuse_import(path, "its images are neither bytes nor floats");
  if (bytes || (options.pixels != "auto" && options.pixels != "network"))
    require_fit(images, preprocessing, path);
  if (bytes) return preprocessing.apply(images, at::kCPU);
  images = images.to(at::kFloat);
  if (!images.isfinite().all().item<bool>())
    refuse_import(path, "images hold a number that is not finite");
  std::string kind = options.pixels;
  const bool compared = kind == "auto" && options.data && !own;
  const Look found = compared ? look_at(images) : Look{};
  if (kind == "auto") kind = compared ? guess(found, preprocessing) : "network";
  if (compared && kind != "network")
    notes.push_back(
        fmt::format("all numbers lie from {:.3g} to {:.3g}: taken as pixels {} and "
                    "normalised as the data are (--pixels network: as they are)",
                    found.low, found.high, kind == "unit" ? "from 0 to 1" : "from 0 to 255"));
  if (compared && kind == "network")
    compare(found, look_at(some_of(*options.data)), preprocessing.kind(), notes);
  if (kind == "unit") return from_unit(images, preprocessing);
  if (kind == "symmetric") return from_unit((images + 1) / 2, preprocessing);
  if (kind == "bytes") return from_unit(images / 255, preprocessing);
  return images;
}

}  // namespace retort::synthetic
