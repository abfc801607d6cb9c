// Sets under networks that they were not made with: each network at the learning rate that is best
// for it and the set on a part of the training images that the test part has no share in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "eval/kept_figures.h"
#include "retort/eval/evaluate.h"

namespace retort::eval {

struct CrossOptions {
  std::vector<std::string> networks = {"convnet", "alexnet", "vgg11", "resnet18"};
  std::vector<std::string> rates = {"0.001", "0.003", "0.01", "0.03", "0.1"};
  int64_t students = 3;
  std::string protocol;           ///< empty: that of each set
  int64_t evaluation_epochs = 0;  ///< 0: the protocol's
  int64_t search_epochs = 0;      ///< of the students that rates are compared by; 0: the same
  double held_out = 0.1;          ///< of the training images, where there is no validation part
  bool random_baseline = true;
  int64_t seed = 0;
  std::string teacher;  ///< for protocols that take a teacher's labels
  void declare(OptionSet& options);
};

/// What is trained on: a set, or random real images beside some.
struct CrossRow {
  std::string name;
  synthetic::Bundle bundle;
  std::string student_labels = "auto";  ///< as of EvalOptions
  std::string baseline = {};            ///< the row of random images beside it; empty: none
  bool random = false;
  int64_t steps_of = 0;  ///< as many steps as a set of so many images has; 0: of its own
};

/// What cells are made from; all of it must outlive them.
struct CrossInput {
  const data::Dataset& data;
  const CrossOptions& options;
  KeptFigures& kept;
  at::Device device = at::kCPU;
  ProgressStyle style = {};
  const StopFlag* stop = nullptr;
};

/// The network of a set as its protocol wants it: what the others are compared with.
std::string own_network(const CrossRow& row, const CrossOptions& options);

/// ConfigError on rates that are none and on networks that do not fit the data.
void check_cross(const data::Dataset& data, const CrossOptions& options);

/// Puts a row of random real images beside each, once for those that would have the same.
void add_baselines(std::vector<CrossRow>& rows, const CrossInput& input);

/// What a page says of a row.
Json to_json(const CrossRow& row, const CrossOptions& options);

/// One row under one network: searches the rate, trains the students at the best and tests them
/// once. What an earlier start found is taken from `kept`; nothing after a stop. The answer has
/// "set", "network", "accuracies", "rate", "tried" (the accuracy of each rate on the validation
/// part, null where training ran away), "at_end", "labels", the bytes of labels, and "date".
std::optional<Json> cross_cell(const CrossInput& input, const CrossRow& row,
                               const std::string& network);

}  // namespace retort::eval
