// Scores of finished sets after DD-Ranking (Li et al., 2024): how far training on them with hard
// labels recovers the whole data, and what they add over chosen real images under one recipe.
// Rates are searched on validation images, never on those that are tested.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/interval.h"
#include "eval/coresets.h"
#include "eval/kept_figures.h"
#include "eval/score_arithmetic.h"
#include "retort/eval/evaluate.h"

namespace retort::eval {

struct ScoreOptions {
  std::string network;   ///< empty: the set's own
  std::string protocol;  ///< empty: the set's own
  int64_t runs = 5;      ///< students of every figure
  int64_t evaluation_epochs = 0;
  std::vector<std::string> rates = {"0.001", "0.005", "0.01", "0.05", "0.1"};
  double label_weight = 0.5, augmentation_weight = 0.5;
  std::vector<std::string> coresets =
      coreset_methods();  ///< beside "random", which is always there
  int64_t selection_epochs = 20;
  double whole_set_accuracy = 0;  ///< a known one; 0: trained
  int64_t whole_set_epochs = 30, whole_set_students = 1;
  double held_out = 0.1;
  std::string student_labels = "auto", teacher;
  int64_t seed = 0;

  void declare(OptionSet& set);
};

/// What students of one training set reached.
struct ScoreFigure {
  std::string subject;  ///< "distilled" or a method of coresets
  std::string labels;   ///< "hard", or "own": those of the set's recipe
  bool augmented = true;
  double rate = 0;  ///< 0: the protocol's own steps
  bool searched = false;
  bool at_end = false;             ///< the rate that was found is the first or last of those tried
  int64_t draws = 1;               ///< different choices of real images among the students
  std::vector<double> accuracies;  ///< fractions, of the test part
  double seconds = 0;              ///< with the search
};

/// A scored set.
struct Score {
  std::string name, method, network, protocol;
  std::string labels = "hard";  ///< of its recipe: hard | soft | live | stored
  int64_t images = 0, image_bytes = 0, label_bytes = 0;
  std::vector<double> whole;  ///< accuracies on the whole set
  int64_t test_images = 0, validation_images = 0;
  std::vector<ScoreFigure> figures;
  Interval hard_recovery, improvement, label_robust, augmentation_robust;
  std::vector<std::string> notes;

  const ScoreFigure& find(const std::string& subject, const std::string& labels,
                          bool augmented = true) const;
  bool has(const std::string& subject, const std::string& labels) const;
};
Json to_json(const Score& score);

/// Where figures are found, kept, and told of.
struct ScoreRun {
  const data::Dataset& data;  ///< with a validation part (with_validation)
  const ScoreOptions& options;
  KeptFigures& kept;
  std::filesystem::path folder;  ///< of the network that was trained on the whole set
  at::Device device = at::kCPU;
  ProgressStyle style = {};
  const StopFlag* stop = nullptr;
};

/// Trains what is not known yet. Nothing after a stop. ConfigError where the set's labels ask for a
/// teacher and none is given.
std::optional<Score> score_set(const ScoreRun& run, const std::string& name,
                               const synthetic::Bundle& bundle);

}  // namespace retort::eval
