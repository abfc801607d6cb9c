// Squeezing a data set into a teacher: supervised, or self-supervised with a linear probe on top
// (MoCo v2: Chen et al. 2020; SimSiam: Chen and He, CVPR 2021).
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "retort/core/options.h"
#include "retort/core/progress.h"
#include "retort/core/recipe_folder.h"
#include "retort/core/stop.h"
#include "retort/data/dataset.h"
#include "retort/nets/network.h"
#include "retort/teachers/teacher.h"

namespace retort::teachers {

/// How a teacher is trained. Rates are for SGD with momentum, half a cosine to 0, one an epoch.
struct SqueezeOptions {
  std::string network = "convnet-bn";
  std::string objective = "supervised";  ///< supervised | moco | simsiam
  int64_t images = 0;                    ///< training images drawn once by split_seed; 0: all
  int64_t epochs = 50;                   ///< 0: the initialisation
  double learning_rate = 0.05;
  double momentum = 0.9;
  double weight_decay = 5e-4;
  int64_t batch_size = 128;
  int64_t warmup_epochs = 0;          ///< straight up from a hundredth of the rate
  std::string augmentation = "auto";  ///< none | shift_flip | crop_flip | views; auto: shift_flip
                                      ///< supervised, views otherwise
  int64_t projection = 128;           ///< numbers of a projected image; of SimSiam 2048 usually
  double temperature = 0.2;           ///< moco
  int64_t queue = 4096;               ///< moco: keys of earlier batches
  double key_momentum = 0.99;         ///< moco: of the network that makes them
  int64_t splits = 4;         ///< moco: parts of the keys' batch with statistics of their own
  int64_t probe_epochs = 20;  ///< of the linear layer on frozen features
  double probe_learning_rate = 1e-3;    ///< of AdamW without decay
  std::string statistics = "training";  ///< training | recalibrated, without augmentation
  int64_t statistics_images = 2048;     ///< at most, for the recalibration
  int64_t keep_every = 0;               ///< epochs between teachers that are kept; 0: the last only
  int64_t checkpoint_every = 1;         ///< epochs
  int64_t seed = 0;
  void declare(OptionSet& options);
};

/// What a teacher is trained with.
struct SqueezeInput {
  const data::Dataset& data;
  const nets::Network& network;
  const SqueezeOptions& options;
  at::Device device;
  uint64_t split_seed = 0;  ///< of the drawing of `images`
  std::string recipe = {};  ///< TOML for the teacher's file
  ProgressStyle progress = {};
  const StopFlag* stop = nullptr;
};

/// What a call of squeeze ended with.
struct SqueezeOutcome {
  Teacher teacher;       ///< undefined tensors where stopped
  int64_t epochs = 0;    ///< done so far
  double loss = 0;       ///< mean over the last epoch; not a number where this call made none
  bool made = false;     ///< by this call, rather than found finished
  bool stopped = false;  ///< the same call goes on
};

/// Refuses what cannot be trained, before anything is written: ConfigError.
void check_squeeze(const SqueezeInput& input);

/// A folder with recipe.toml, records.jsonl, checkpoint.safetensors and, in the end,
/// teacher.safetensors; teachers in between are teacher_0010.safetensors and so on.
FolderKind squeeze_folder_kind();
std::filesystem::path teacher_path(const std::filesystem::path& folder);

/// Trains from where an earlier start came to, and ends in the same bytes as without a stop or
/// kill. The folder's lock must be held.
SqueezeOutcome squeeze(const SqueezeInput& input, const std::filesystem::path& folder);

/// BatchNorm recalibration: the state with the statistics that plain passes over `images` (uint8)
/// give, means of the batches' means and unbiased variances; theta is left as it is.
at::Tensor recalibrated_batchnorm(const nets::Network& network, const at::Tensor& theta,
                                  const at::Tensor& images,
                                  const data::Preprocessing& preprocessing, int64_t batch_size);

}  // namespace retort::teachers
