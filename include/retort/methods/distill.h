// The options that every distillation shares, and the run folder that it keeps.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "retort/core/options.h"
#include "retort/core/recipe_folder.h"
#include "retort/methods/method.h"

namespace retort::methods {

/// Settings of a run that every method shares.
struct DistillOptions {
  std::string method = "dm";
  std::string images_per_class = "10";
  std::string network = "convnet";
  std::string parametrisation = "pixels";
  std::string initialisation = "real";  ///< real | noise
  std::string init_from;                ///< a bundle to start from, in place of `initialisation`
  std::string augmentation = "auto";    ///< a DSA strategy; auto: the data set's published one
  std::string protocol = "dm";          ///< how students are to be trained on the result
  int64_t iterations = 1000;
  double image_learning_rate = 1.0;
  double image_momentum = 0.5;
  std::string image_optimiser = "sgd";      ///< a name in optim::optimizer_table()
  double image_beta2 = 0.999;               ///< used by adam, adamw and lamb
  std::string image_schedule = "constant";  ///< a name in optim::schedule_table()
  double clip_norm = 0;                     ///< largest norm of all gradients together; 0: none
  bool clamp_pixels = false;                ///< pixels stay between black and white
  int64_t seed = 0;
  int64_t validate_every = 0;     ///< iterations between validations; 0: none
  int64_t record_every = 10;      ///< iterations between loss records
  int64_t checkpoint_every = 50;  ///< iterations between checkpoints

  /// Takes the method's suggestions; call before declare.
  void take(const LoopDefaults& defaults);
  void declare(OptionSet& options);
};

/// A locked run folder: recipe, records, checkpoint, result.
class RunFolder {
 public:
  /// Creates the folder or opens what an earlier start left. Options that change the result must
  /// be the same as before, but for a larger `iterations`; StateError lists the keys that differ,
  /// or says that the folder holds something else or is in use. One of several processes of a run
  /// `writes`; for the others nothing is made or locked.
  RunFolder(std::filesystem::path path, const OptionSet& options, bool writes = true);
  /// Refuses what the constructor refuses without making anything; true where there is a run to go
  /// on with. Where iterations depend on how many follow, a larger number is refused as well.
  static bool started(const std::filesystem::path& path, const OptionSet& options,
                      bool open_ended = true);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path recipe() const { return path_ / "recipe.toml"; }
  std::filesystem::path records() const { return path_ / "records.jsonl"; }
  std::filesystem::path checkpoint() const { return path_ / "checkpoint.safetensors"; }
  std::filesystem::path bundle() const { return path_ / "distilled.safetensors"; }
  /// The set as it stood at the end, where the bundle holds its moving average.
  std::filesystem::path not_averaged() const { return path_ / "not_averaged.safetensors"; }
  std::filesystem::path images() const { return path_ / "images"; }
  std::filesystem::path report() const { return path_ / "report.html"; }
  /// True where the result of `iterations` iterations is there, undamaged.
  bool finished(int64_t iterations) const;
  /// What is wrong with a result that is there, and what is done about it; or empty.
  std::string damage() const;
  /// Records the options of this start, which may ask for more iterations than the one before.
  void update_recipe() const;

 private:
  std::filesystem::path path_;
  std::string options_;  // as TOML
  std::unique_ptr<FolderLock> lock_;
};

}  // namespace retort::methods
