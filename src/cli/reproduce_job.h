// What one command line of `retort reproduce` asks for: a recipe, with changes, and what its parts
// are given.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/distill_command.h"
#include "cli/eval_command.h"
#include "cli/experts_command.h"
#include "cli/published_result.h"

namespace retort::cli {

struct ReproduceJob {
  std::string recipe, data, out, experts, teacher, label_teacher;
  std::vector<std::string> changes;
  std::vector<std::string> seeds;  ///< empty: one set
  int64_t students = 5;
  MachineOptions machine;
  PublishedResult claim;
  std::optional<DistillSettings> run;  ///< of the recipe with its changes, once that is read

  void declare(OptionSet& set);
  /// Reads the recipe and the changes, and checks both with the options of the parts: all problems
  /// at once, before anything is trained. `own` are the options of the command line.
  void read(const OptionSet& own);
  /// The run, or the folder of the sets.
  std::filesystem::path folder() const { return std::filesystem::path(out) / "run"; }
  /// The experts of the run are those of a folder.
  void use_experts(const std::string& path);
  void give_experts(ExpertsSettings& settings) const;
  void give_evaluation(EvalSettings& settings) const;

 private:
  using Pairs = std::vector<std::pair<std::string, std::string>>;

  Pairs split_changes(Problems& problems) const;
  void take(const std::string& key, const std::string& text, const OptionSet& own,
            OptionSet& claims, Problems& problems);
  void keep_data_options();
  void check_length(Problems& problems) const;
  void give_run(Problems& problems);

  Pairs data_options_;  // of the recipe, replaced or not: experts need them too
};

}  // namespace retort::cli
