// Finished experts for trajectory matching.
#include "retort/trajectories/trajectories.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/sizes.h"
#include "retort/core/error.h"
#include "trajectories/trajectory_file.h"

namespace retort::trajectories {
namespace {

/// Of settings, and of the first numbers that training ended with: the origin of imported experts
/// says little.
uint64_t hash_content(const TrajectoryFile& file, uint64_t seed) {
  for (const auto& [key, value] : file.metadata) {
    const std::string line = key + "=" + value + "\n";
    seed = hash_bytes(line.data(), line.size(), seed);
  }
  const size_t row = file.snapshots.bytes.size() / to_size(file.epochs + 1);
  const auto last = file.snapshots.bytes.last(row).first(std::min<size_t>(row, 4096));
  return hash_bytes(last.data(), last.size(), seed);
}

int64_t unfinished(const std::filesystem::path& folder) {
  int64_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    count += entry.path().extension() == ".partial" ? 1 : 0;
  return count;
}

DataError no_experts(const std::filesystem::path& folder, const std::string& found) {
  return DataError(ErrorMessage{
      "opening the experts in '" + folder.string() + "'", found,
      "a folder of expert_0000.safetensors and so on, made by `retort experts --out FOLDER`",
      "train experts first, or finish their training with the command that began it"});
}

}  // namespace

struct Trajectories::Expert : TrajectoryFile {
  using TrajectoryFile::TrajectoryFile;
};

Trajectories::Trajectories(const std::filesystem::path& folder, const data::Dataset& data,
                           const nets::Network& network) {
  if (!std::filesystem::is_directory(folder)) throw no_experts(folder, "it is not a folder");
  const Metadata wanted = fit_of(data, network);
  uint64_t hash = 0;
  for (const std::filesystem::path& path : finished_trajectories(folder)) {
    const Expert& expert = *experts_.emplace_back(std::make_unique<Expert>(path));
    check_fit(path, expert.metadata, wanted);
    if (expert.parameters != network.parameters().size)
      throw DataError::damaged(path.string(),
                               fmt::format("its snapshots have {} numbers", expert.parameters),
                               fmt::format("{}, one a parameter", network.parameters().size));
    hash = hash_content(expert, hash);
  }
  if (experts_.empty())
    throw no_experts(
        folder, fmt::format("it holds no finished experts, {} unfinished", unfinished(folder)));
  fingerprint_ = hex(hash);
}

Trajectories::~Trajectories() = default;

int64_t Trajectories::count() const {
  return std::ssize(experts_);
}

int64_t Trajectories::epochs() const {
  int64_t shortest = experts_.front()->epochs;
  for (const auto& expert : experts_) shortest = std::min(shortest, expert->epochs);
  return shortest;
}

at::Tensor Trajectories::snapshot(int64_t expert, int64_t epoch) const {
  TORCH_CHECK(expert >= 0 && expert < count(), "expert ", expert, " of ", count());
  return experts_[to_size(expert)]->row(epoch);
}

const std::string& Trajectories::fingerprint() const {
  return fingerprint_;
}

}  // namespace retort::trajectories
