// Reading one expert's file.
#include "trajectories/trajectory_file.h"
#include "core/sizes.h"
#include "io/content_hash.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>

#include "io/scalar_types.h"
#include "retort/core/error.h"

namespace retort::trajectories {
namespace {

constexpr const char* kFormat = "retort.trajectory";
constexpr int64_t kVersion = 1;
constexpr std::string_view kPrefix = "expert_", kSuffix = ".safetensors";

std::optional<int64_t> whole_number(std::string_view text) {
  int64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size() || value < 0) return {};
  return value;
}

/// The number in "expert_0007.safetensors"; nothing for other names.
std::optional<int64_t> number_of(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return {};
  return whole_number(
      std::string_view(name).substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size()));
}

void check_format(const std::string& path, const Metadata& metadata) {
  const auto text = [&](const char* key) {
    const auto found = metadata.find(key);
    return found == metadata.end() ? std::string() : found->second;
  };
  if (text("format") != kFormat)
    throw DataError::damaged(path, "its format is '" + text("format") + "'",
                             "an expert's trajectory, as `retort experts` writes it");
  const auto version = whole_number(text("format_version"));
  if (!version || *version < 1)
    throw DataError::damaged(path, "its format version is '" + text("format_version") + "'");
  if (*version > kVersion)
    throw StateError(ErrorMessage{"reading the expert '" + path + "'",
                                  fmt::format("its format version is {}", *version),
                                  fmt::format("at most {}", kVersion), "update retort"});
}

/// A tensor of the file with this type and number of dimensions.
const RawTensor& tensor_in(const SafetensorsView& view, std::string_view name, size_t dimensions,
                           const std::string& path) {
  const auto found = view.tensors.find(std::string(name));
  if (found == view.tensors.end())
    throw DataError::damaged(path, fmt::format("it has no tensor '{}'", name));
  const RawTensor& tensor = found->second;
  const bool typed = name == "snapshots"
                         ? tensor.dtype == DType::kF32 || tensor.dtype == DType::kF16
                     : name == piece_hashes("snapshots") ? tensor.dtype == DType::kI64
                                                         : tensor.dtype == DType::kF64;
  if (!typed || tensor.shape.size() != dimensions)
    throw DataError::damaged(
        path, fmt::format("its tensor '{}' is {} [{}]", name, dtype_name(tensor.dtype),
                          fmt::join(tensor.shape, ", ")));
  return tensor;
}

}  // namespace

std::filesystem::path trajectory_path(const std::filesystem::path& folder, int64_t expert) {
  return folder / fmt::format("{}{:04}{}", kPrefix, expert, kSuffix);
}

std::vector<std::filesystem::path> finished_trajectories(const std::filesystem::path& folder) {
  std::vector<std::pair<int64_t, std::filesystem::path>> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (const auto number = number_of(entry.path())) found.emplace_back(*number, entry.path());
  std::sort(found.begin(), found.end());
  std::vector<std::filesystem::path> paths;
  for (auto& [number, path] : found) paths.push_back(std::move(path));
  return paths;
}

TrajectoryFile::TrajectoryFile(std::filesystem::path from) : path(std::move(from)), file(path) {
  const std::string name = path.string();
  const SafetensorsView view = parse_safetensors(file.bytes(), name);
  metadata = view.metadata;
  check_format(name, metadata);
  snapshots = tensor_in(view, "snapshots", 2, name);
  const RawTensor& loss = tensor_in(view, "losses", 1, name);
  std::memcpy(&accuracy, tensor_in(view, "accuracy", 0, name).bytes.data(), sizeof accuracy);
  epochs = snapshots.shape[0] - 1;
  parameters = snapshots.shape[1];
  const RawTensor& hashed = tensor_in(view, piece_hashes("snapshots"), 1, name);
  if (epochs < 1 || parameters < 1 || loss.shape[0] != epochs || hashed.shape[0] != epochs + 1)
    throw DataError::damaged(name, fmt::format("it has {} snapshots of {} numbers and {} losses",
                                               epochs + 1, parameters, loss.shape[0]));
  losses.resize(to_size(epochs));
  std::memcpy(losses.data(), loss.bytes.data(), loss.bytes.size());
  hashes.resize(to_size(epochs + 1));
  std::memcpy(hashes.data(), hashed.bytes.data(), hashed.bytes.size());
}

void TrajectoryFile::require_whole() const {
  for (int64_t epoch = 0; epoch <= epochs; ++epoch) row(epoch);
}

at::Tensor TrajectoryFile::row(int64_t epoch) const {
  TORCH_CHECK(epoch >= 0 && epoch <= epochs, "snapshot ", epoch, " of ", epochs);
  const at::Tensor stored =
      at::empty({parameters}, at::TensorOptions().dtype(scalar_type_of(snapshots.dtype)));
  std::memcpy(stored.data_ptr(), snapshots.bytes.data() + stored.nbytes() * to_size(epoch),
              stored.nbytes());
  const auto damaged = [&](const char* what) {
    return damaged_content(path.string(), fmt::format("snapshot {} {}", epoch, what));
  };
  if (piece_hash(stored.data_ptr(), stored.nbytes()) != hashes[to_size(epoch)])
    throw damaged("is not as it was written, its hash is another");
  if (!stored.isfinite().all().item<bool>()) throw damaged("holds a number that is not finite");
  return stored.to(at::kFloat);
}

TrajectoryPlan complete(TrajectoryPlan plan) {
  plan.metadata["format"] = kFormat;
  plan.metadata["format_version"] = std::to_string(kVersion);
  plan.metadata["expert"] = std::to_string(plan.expert);
  plan.metadata["epochs"] = std::to_string(plan.epochs);
  return plan;
}

}  // namespace retort::trajectories
