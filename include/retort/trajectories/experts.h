// Training experts for trajectory matching: networks trained on the real data, with the parameters
// after every epoch kept, one file an expert.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "retort/core/options.h"
#include "retort/core/process_group.h"
#include "retort/core/progress.h"
#include "retort/core/stop.h"
#include "retort/data/dataset.h"
#include "retort/nets/network.h"
#include "retort/train/trainer.h"

namespace retort::trajectories {

/// How experts are trained and kept. The defaults are those of MTT.
struct ExpertOptions {
  std::string network = "convnet";
  int64_t count = 100;
  int64_t epochs = 50;
  double learning_rate = 0.01;
  int64_t batch_size = 256;
  std::string augmentation = "auto";  ///< a DSA strategy; auto: the data set's published one
  train::Gsam flat;                   ///< FTD's update in place of plain SGD
  std::string snapshots = "float32";  ///< float32 | float16
  int64_t seed = 0;
  std::string shard = "0/1";         ///< INDEX/COUNT: which experts this job trains
  std::vector<std::string> imports;  ///< MTT's replay_buffer_*.pt, in place of training
  void declare(OptionSet& options);
};

/// What experts are made with.
struct ExpertInput {
  const data::Dataset& data;
  const nets::Network& network;
  const ExpertOptions& options;
  at::Device device;
  ProgressStyle progress;
  const StopFlag* stop = nullptr;
  const ProcessGroup* group = &ProcessGroup::alone();
};

/// One finished expert.
struct ExpertResult {
  int64_t expert = 0;
  double loss = 0;      ///< mean over the last epoch; not a number where it is not known
  double accuracy = 0;  ///< on the test part
};

/// What a call of train_experts or import_experts ended with.
struct ExpertOutcome {
  std::vector<ExpertResult> experts;  ///< the finished ones of this shard
  int64_t made = 0;                   ///< by this call
  bool stopped = false;               ///< a stop was asked for: the same call goes on
  std::string network = {};           ///< its whole name
  int64_t parameters = 0;             ///< how many an expert has
};

/// Disk that the unfinished experts of a shard need beyond what is theirs already, and what is
/// free.
struct DiskNeed {
  int64_t experts = 0;
  int64_t bytes = 0;
  int64_t free_bytes = 0;
};

/// Refuses what cannot be trained, before anything is written: ConfigError for networks with
/// running statistics and for unknown words.
void check_experts(const ExpertInput& input);

/// True where `folder` was begun with these options; StateError where it cannot be gone on with.
bool experts_started(const std::filesystem::path& folder, const OptionSet& options);

/// Makes the folder with its recipe.toml, or opens it; a larger count is recorded.
void open_experts(const std::filesystem::path& folder, const OptionSet& options);

/// ResourceError where the disk is too small.
DiskNeed disk_need(const ExpertInput& input, const std::filesystem::path& folder);

/// Trains the shard's experts that are not finished, each from where an earlier start came to, and
/// ends in the same bytes as without a stop or kill. The processes of a group share them. Several
/// jobs may work in one folder; an expert that another one is training is left to it, and a
/// StateError at the end names those.
ExpertOutcome train_experts(const ExpertInput& input, const std::filesystem::path& folder);

/// Reads all of the buffers that are to be imported: DataError where one does not hold snapshots of
/// the network's parameters.
void check_import(const ExpertInput& input);

/// Writes the trajectories of MTT's buffers, in order, as experts; those that are there stay.
ExpertOutcome import_experts(const ExpertInput& input, const std::filesystem::path& folder);

/// Where experts are made, and whom that tells. All of it may be left as it is.
struct ExpertSettings {
  at::Device device = at::kCPU;
  ProgressStyle progress = {};
  const StopFlag* stop = nullptr;
  std::function<void(const std::string& text)> note = {};  ///< what a user should know of the data
  std::function<void(const DiskNeed& need)> need = {};     ///< before anything is trained
  /// What the folder records, where that is more than the options of the experts.
  const OptionSet* recipe = nullptr;
  /// Processes that make the same call: they share the experts, in one folder that all see.
  const ProcessGroup* group = &ProcessGroup::alone();
};

/// All of the above in one call: refuses what cannot be before anything is on disk, makes the
/// folder or opens it, and trains or imports what is not there.
ExpertOutcome make_experts(const data::Dataset& data, const ExpertOptions& options,
                           const std::filesystem::path& folder, const ExpertSettings& how = {});

}  // namespace retort::trajectories
