// ZCA whitening, W = U (S + epsilon)^(-1/2) U^T of the covariance U S U^T, n - 1 in its divisor
// (as kornia's, which published ZCA sets were made with), by the symmetric eigen-solver.
#include "data/zca.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "retort/core/error.h"
#include "retort/core/file.h"
#include "retort/core/tensor_file.h"

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

/// Identifies the content of the cached tensors.
std::string content_hash(const TensorMap& tensors) {
  uint64_t hash = 0;
  for (const auto& [name, tensor] : tensors)
    hash = hash_bytes(tensor.data_ptr(), tensor.nbytes(), hash);
  return hex(hash);
}

/// The cached result, or nothing where the file is missing, damaged or of other data.
std::optional<Preprocessing> load_zca(const std::filesystem::path& path, const std::string& key,
                                      int64_t pixels) {
  std::error_code unreadable;
  if (!std::filesystem::exists(path, unreadable)) return {};
  try {
    const TensorFile file = load_tensors(path);
    const auto says = [&file](const std::string& name, const std::string& value) {
      const auto found = file.metadata.find(name);
      return found != file.metadata.end() && found->second == value;
    };
    if (!says("key", key) || !says("content", content_hash(file.tensors))) return {};
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

Preprocessing fit_zca(const at::Tensor& images, double epsilon) {
  const int64_t count = images.size(0), pixels = images.numel() / std::max<int64_t>(count, 1);
  if (count < 2)
    throw DataError(Report{"fitting ZCA", fmt::format("{} training images", count), "at least 2",
                           "use another normalisation"});
  at::Tensor mean = at::zeros({pixels}, at::kDouble);
  stream_rows(images, [&](const at::Tensor& rows) { mean += rows.sum(0); });
  mean /= static_cast<double>(count);
  at::Tensor covariance = at::zeros({pixels, pixels}, at::kDouble);
  stream_rows(images, [&](at::Tensor rows) {
    rows.sub_(mean);
    covariance.addmm_(rows.t(), rows);
  });
  covariance /= static_cast<double>(count - 1);

  const auto eigen = at::linalg_eigh(covariance, "L");
  const at::Tensor &spectrum = std::get<0>(eigen), &basis = std::get<1>(eigen);
  // Rounding leaves tiny negative eigenvalues where the images span fewer dimensions.
  const at::Tensor lifted = spectrum.clamp_min(0).add(epsilon);
  const auto power = [&](double exponent) {
    return at::mm(basis * lifted.pow(exponent), basis.t()).to(at::kFloat);
  };
  return Preprocessing::zca(mean.to(at::kFloat), power(-0.5), power(0.5));
}

Preprocessing cached_zca(const at::Tensor& images, double epsilon, const std::string& key,
                         const std::filesystem::path& cache, std::vector<std::string>& notes) {
  if (cache.empty()) return fit_zca(images, epsilon);
  const std::filesystem::path path = cache / fmt::format("zca-{}.safetensors", key);
  if (auto kept = load_zca(path, key, images[0].numel())) return *kept;
  Preprocessing fitted = fit_zca(images, epsilon);
  const TensorMap tensors = {{"mean", fitted.zca_mean()},
                             {"whitening", fitted.zca_matrix()},
                             {"inverse", fitted.zca_inverse()}};
  try {
    save_tensors(path, tensors,
                 {{"format", "retort-zca-1"}, {"key", key}, {"content", content_hash(tensors)}});
  } catch (const ResourceError& problem) {
    notes.push_back(fmt::format("the ZCA matrices were not cached: {}", problem.what()));
  }
  return fitted;
}

}  // namespace retort::data
