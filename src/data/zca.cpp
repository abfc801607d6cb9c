// ZCA whitening, W = U (S + epsilon)^(-1/2) U^T of the covariance U S U^T, by the symmetric
// eigen-solver. Two ways that published sets were made with: kornia's (MTT and its successors),
// with n - 1 in the covariance's divisor and an absolute epsilon, and FRePo's, of standardised
// channels, with n in the divisor and a ridge that is a share of the spectrum's mean.
#include "data/zca.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "core/file.h"
#include "core/note.h"
#include "data/measure.h"
#include "retort/core/device.h"
#include "retort/core/error.h"
#include "retort/io/tensor_file.h"

namespace retort::data {
namespace {

constexpr int64_t kChunk = 2048;  // rows in float64 at a time: 50 MB for 3x32x32

/// Calls `use` with rows [n, D] in float64, scaled to [0, 1], of all images in turn.
template <class Use>
void stream_rows(const at::Tensor& images, Use&& use) {
  for (int64_t first = 0; first < images.size(0); first += kChunk) {
    const int64_t count = std::min(kChunk, images.size(0) - first);
    use(images.narrow(0, first, count).flatten(1).to(at::kDouble).div_(255));
  }
}

/// Means [D] of pixels in [0, 1], and sums of products [D, D] of what differs from them; float64.
struct PixelMoments {
  at::Tensor mean, squares;
};

PixelMoments moments(const at::Tensor& images) {
  const int64_t count = images.size(0), pixels = images.numel() / std::max<int64_t>(count, 1);
  if (count < 2)
    throw DataError(ErrorMessage{"fitting ZCA", fmt::format("{} training images", count),
                                 "at least 2", "use another normalisation"});
  PixelMoments found{at::zeros({pixels}, at::kDouble), at::zeros({pixels, pixels}, at::kDouble)};
  stream_rows(images, [&](const at::Tensor& rows) { found.mean += rows.sum(0); });
  found.mean /= static_cast<double>(count);
  stream_rows(images, [&](at::Tensor rows) {
    rows.sub_(found.mean);
    found.squares.addmm_(rows.t(), rows);
  });
  return found;
}

/// A covariance's eigenvalues, ascending, and its eigenvectors in columns.
struct Spectrum {
  at::Tensor values, basis;
  at::Tensor power(const at::Tensor& of, double exponent) const {
    return at::mm(basis * of.pow(exponent), basis.t());
  }
};

Spectrum spectrum_of(const at::Tensor& covariance) {
  auto [values, basis] = at::linalg_eigh(covariance, "L");
  return {values, basis};
}

/// The cached result, or nothing where the file is missing, damaged or of other data.
std::optional<Preprocessing> load_zca(const std::filesystem::path& path, const std::string& key,
                                      int64_t pixels) {
  std::error_code unreadable;
  if (!std::filesystem::exists(path, unreadable)) return {};
  try {
    const TensorFile file = load_tensors(path);
    const auto found = file.metadata.find("key");
    if (found == file.metadata.end() || found->second != key) return {};
    const at::Tensor mean = tensor_of(file, "mean", path.string());
    const at::Tensor matrix = tensor_of(file, "whitening", path.string());
    const at::Tensor inverse = tensor_of(file, "inverse", path.string());
    const bool fits = mean.sizes() == at::IntArrayRef({pixels}) &&
                      matrix.sizes() == at::IntArrayRef({pixels, pixels}) &&
                      inverse.sizes() == matrix.sizes();
    if (!fits) return {};
    return Preprocessing::zca(mean, matrix, inverse);
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

// On one thread: products and the solver round by how many share their work.
Preprocessing fit_zca(const at::Tensor& images, double epsilon) {
  const ThreadScope alone(1);
  const PixelMoments of = moments(images);
  const Spectrum whole = spectrum_of(of.squares / static_cast<double>(images.size(0) - 1));
  // Rounding leaves tiny negative eigenvalues where the images span fewer dimensions.
  const at::Tensor lifted = whole.values.clamp_min(0).add(epsilon);
  return Preprocessing::zca(of.mean.to(at::kFloat), whole.power(lifted, -0.5).to(at::kFloat),
                            whole.power(lifted, 0.5).to(at::kFloat));
}

// FRePo's `normalize_zca`: ((x - m) / s - mean) W is (x - pixel means) diag(1 / s) W.
Preprocessing fit_standardised_zca(const at::Tensor& images, double share) {
  const ThreadScope alone(1);
  const PixelMoments of = moments(images);
  const int64_t count = images.size(0), pixels = of.mean.size(0);
  const std::vector<double> channels = measure(images).deviation;
  const at::Tensor deviation =
      at::tensor(channels, at::kDouble).repeat_interleave(pixels / images.size(1));
  const at::Tensor covariance =
      of.squares / static_cast<double>(count) / at::outer(deviation, deviation);
  const double ridge = share * covariance.trace().item<double>() / static_cast<double>(pixels);
  if (!(ridge > 0))
    throw DataError(ErrorMessage{"fitting ZCA", "training images that are all alike",
                                 "images that differ", "use another normalisation"});
  const Spectrum whole = spectrum_of(covariance);
  const at::Tensor lifted = whole.values.clamp_min(0).add(ridge);
  // Directions that fewer images than pixels cannot span are left as they are.
  if (count < pixels) lifted.narrow(0, 0, pixels - count).fill_(1);
  const at::Tensor column = deviation.unsqueeze(1);
  return Preprocessing::zca(of.mean.to(at::kFloat),
                            (whole.power(lifted, -0.5) / column).to(at::kFloat),
                            (whole.power(lifted, 0.5) * deviation).to(at::kFloat));
}

Preprocessing cached_zca(const at::Tensor& images, double epsilon, bool standardised,
                         const std::string& key, const std::filesystem::path& cache,
                         const ProgressStyle& progress, std::vector<std::string>& notes) {
  const auto fit = [&] {
    say_note(
        progress,
        fmt::format("whitening: fitting {} x {} matrices to {} images; some seconds to minutes",
                    images[0].numel(), images[0].numel(), images.size(0)));
    return standardised ? fit_standardised_zca(images, epsilon) : fit_zca(images, epsilon);
  };
  if (cache.empty()) return fit();
  const std::filesystem::path path = cache / fmt::format("zca-{}.safetensors", key);
  remove_leftovers(path);
  if (auto kept = load_zca(path, key, images[0].numel())) return *kept;
  Preprocessing fitted = fit();
  const TensorMap tensors = {{"mean", fitted.zca_mean()},
                             {"whitening", fitted.zca_matrix()},
                             {"inverse", fitted.zca_inverse()}};
  try {
    save_tensors(path, tensors, {{"format", "retort-zca-1"}, {"key", key}});
  } catch (const ResourceError& problem) {
    notes.push_back(fmt::format("the ZCA matrices were not cached: {}", problem.what()));
  }
  return fitted;
}

}  // namespace retort::data
