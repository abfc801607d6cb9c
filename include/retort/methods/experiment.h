// A distillation in one call: a method, a parametrisation, options and data go in; a run folder and
// a bundle come out. Nothing is printed and no argument is parsed.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "retort/core/options.h"
#include "retort/core/process_group.h"
#include "retort/core/progress.h"
#include "retort/core/records.h"
#include "retort/core/stop.h"
#include "retort/data/dataset.h"
#include "retort/methods/distill.h"
#include "retort/methods/method.h"
#include "retort/synthetic/bundle.h"
#include "retort/synthetic/parametrisation.h"

namespace retort::methods {

/// Judges a set on the validation part; its JSON goes into the records.
using Validate = std::function<Json(const synthetic::Bundle&)>;

/// Where a run computes, and whom it tells. All of it may be left as it is; what is pointed to must
/// outlive the run. No callback changes the result.
struct RunSettings {
  at::Device device = at::kCPU;
  int threads = 0;           ///< for the records alone; 0: as many as libtorch uses
  int64_t memory_limit = 0;  ///< bytes of the whole process, passes become smaller; 0: no limit
  ProgressStyle progress = {};
  const StopFlag* stop = nullptr;  ///< after a request the run keeps a checkpoint and returns
  Validate validate = {};          ///< called every `validate_every` iterations
  std::function<void(int64_t done, double loss)> iteration = {};  ///< after every iteration
  std::function<void(const Json& record)> record = {};     ///< gets every record that is written
  std::function<void(const std::string& text)> note = {};  ///< what a user should know of the run
  /// Everything has been checked and there is work to do; a new run has nothing on disk yet, and an
  /// exception ends it there. `started`: an earlier start is gone on with.
  std::function<void(bool started)> begin = {};
  /// What the folder and the bundle record, where that is more than the experiment's own options.
  const OptionSet* recipe = nullptr;
  /// Processes that make the same call: they share the work, and the first writes the folder, which
  /// all must see. The result is the same for any number of them.
  const ProcessGroup* group = &ProcessGroup::alone();
};

/// How a run ended.
struct DistillOutcome {
  synthetic::Bundle bundle;
  bool stopped = false;  ///< a stop was asked for: a checkpoint is written, no result
  int64_t iteration = 0;
  double loss = 0;
  double seconds = 0;         ///< over all starts; 0 where it was finished
  bool was_finished = false;  ///< by an earlier start: the bundle is that of the folder
};

/// A method with a parametrisation and all options of both. Not thread-safe: one run at a time.
class Experiment {
 public:
  /// With the method's own defaults. ConfigError, with the nearest spelling, on an unknown name.
  explicit Experiment(const std::string& method, const std::string& parametrisation = "pixels");
  /// Of a method that need not be in the table: one of the program's own.
  explicit Experiment(MethodEntry method, const std::string& parametrisation = "pixels");
  /// Another experiment with equal options, to be changed and run by itself.
  Experiment(const Experiment& other);
  Experiment& operator=(const Experiment&) = delete;
  ~Experiment();

  /// All options, by the names that flags and recipes have.
  OptionSet& options() { return own_; }
  const OptionSet& options() const { return own_; }
  /// Sets options from (name, text) pairs; ConfigError with everything that is wrong with them.
  void set(const std::vector<std::pair<std::string, std::string>>& values);
  /// Declares the same options on another set, such as that of a command. The experiment must
  /// outlive it.
  void declare(OptionSet& options);
  /// The fields of the options that every method shares.
  DistillOptions& settings() { return settings_; }
  const DistillOptions& settings() const { return settings_; }
  Method& method() const { return *method_; }
  const synthetic::ParametrisationKind& parametrisation() const { return *parametrisation_; }

  /// What a new run on `data` would be refused for, without anything on disk; returns notes for the
  /// user. ConfigError or StateError.
  std::vector<std::string> check(const data::Dataset& data, const RunSettings& how = {}) const;
  /// The part of it that looks at no file that the method needs, such as experts to be trained yet.
  void check_set(const data::Dataset& data, const RunSettings& how = {}) const;

  /// Runs the experiment in `folder`, goes on with what an earlier start left there, or returns its
  /// result where it was finished. Ends with the bundle, previews and records, in the same bytes
  /// whether it was stopped on the way or not. ConfigError on options that cannot be; StateError
  /// where the folder holds another run or the loss is not finite.
  DistillOutcome run(const data::Dataset& data, const std::filesystem::path& folder,
                     const RunSettings& how = {}) const;

 private:
  const MethodEntry entry_;
  const std::string parametrisation_name_;
  DistillOptions settings_;
  std::unique_ptr<Method> method_;
  std::unique_ptr<synthetic::ParametrisationKind> parametrisation_;
  OptionSet own_;
};

}  // namespace retort::methods
