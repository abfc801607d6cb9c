// The file of one expert: what it says of itself, reading it, and writing it while it grows.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/file.h"
#include "io/safetensors.h"
#include "retort/data/dataset.h"
#include "retort/io/tensor_file.h"
#include "retort/nets/network.h"

namespace retort::trajectories {

using Metadata = std::map<std::string, std::string>;

/// What an expert must be made for: network, parameters, data, preprocessing, training part.
Metadata fit_of(const data::Dataset& data, const nets::Network& network);

/// StateError naming the file, what it has, what is wanted and what to do, unless `found` was made
/// for the same as `wanted`.
void check_fit(const std::filesystem::path& path, const Metadata& found, const Metadata& wanted);

/// "expert_0007.safetensors" in the folder.
std::filesystem::path trajectory_path(const std::filesystem::path& folder, int64_t expert);
/// The finished experts of a folder in order of their numbers.
std::vector<std::filesystem::path> finished_trajectories(const std::filesystem::path& folder);

/// A finished file, mapped.
struct TrajectoryFile {
  /// DataError where it is damaged, or no trajectory; StateError where its format is newer.
  explicit TrajectoryFile(std::filesystem::path from);
  /// float32 [P], a copy; DataError where it is not as it was written.
  at::Tensor row(int64_t epoch) const;
  /// DataError unless all rows are as they were written.
  void require_whole() const;

  std::filesystem::path path;
  MappedFile file;
  Metadata metadata;
  RawTensor snapshots;          ///< F32 or F16 [E + 1, P]
  std::vector<int64_t> hashes;  ///< [E + 1], of the snapshots
  std::vector<double> losses;   ///< [E], not a number where it is not known
  double accuracy = 0;
  int64_t epochs = 0, parameters = 0;
};

/// What the file of an expert is to hold.
struct TrajectoryPlan {
  std::filesystem::path folder;
  int64_t expert = 0;
  int64_t epochs = 0, parameters = 0;
  DType dtype = DType::kF32;
  Metadata metadata;  ///< with format, number and epochs
};

/// Adds the keys that every file has: format, its version, the expert's number, epochs.
TrajectoryPlan complete(TrajectoryPlan plan);
/// Bytes of the file, the same while it grows and finished.
int64_t trajectory_bytes(const TrajectoryPlan& plan);

/// The file of an expert that is being made, under another name and locked by this process: of its
/// full size from the beginning, rows written in place.
class GrowingTrajectory {
 public:
  /// Null where another process is making the expert, or where it is finished: then what
  /// a kill may have left of its checkpoint is removed.
  static std::unique_ptr<GrowingTrajectory> claim(const TrajectoryPlan& plan);
  /// The epoch that an earlier start came to, as far as can be seen without the lock.
  static int64_t reached(const TrajectoryPlan& plan);
  ~GrowingTrajectory();
  GrowingTrajectory(const GrowingTrajectory&) = delete;
  GrowingTrajectory& operator=(const GrowingTrajectory&) = delete;

  /// What an earlier start came to; nothing where there is none.
  struct Reached {
    int64_t epoch;
    at::Tensor theta;  ///< float32 [P]
  };
  /// StateError where it does not fit the plan. Without one, or where it is damaged beyond the
  /// checkpoint before, makes the file anew.
  std::optional<Reached> open();
  /// What was found damaged by open(), and what is done about it; or empty.
  const std::string& note() const { return note_; }
  /// Makes the file anew, without rows.
  void make();
  /// Row `epoch`; the loss is that of the epoch before it (0 has none).
  void write(int64_t epoch, const at::Tensor& theta, double loss);
  /// Makes the rows so far last, and a later start go on from here.
  void checkpoint(int64_t epoch, const at::Tensor& theta);
  /// Gives the file its name. It cannot be written after that.
  void finish(double accuracy);

 private:
  GrowingTrajectory(const TrajectoryPlan& plan, int file);
  void put(const void* data, size_t size, uint64_t offset);
  Reached take(const TensorFile& saved);
  int64_t first_damaged(int64_t last) const;
  TrajectoryPlan plan_;
  std::filesystem::path partial_, checkpoint_;
  std::string header_, note_;
  uint64_t size_ = 0;
  std::vector<int64_t> hashes_;  // of the rows
  std::vector<double> losses_;
  int file_ = -1;
};

}  // namespace retort::trajectories
