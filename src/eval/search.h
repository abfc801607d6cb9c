// Architecture search by proxy (Zhao et al., 2021, section 4.4 of DM): many networks are trained on
// a small set and ranked, and the ranking is held against one of training on the whole set.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "eval/kept_figures.h"
#include "eval/rank_correlation.h"
#include "retort/core/process_group.h"
#include "retort/core/progress.h"
#include "retort/core/stop.h"
#include "retort/data/dataset.h"
#include "retort/synthetic/bundle.h"
#include "retort/train/trainer.h"

namespace retort::eval {

struct SearchOptions {
  int64_t epochs = 200, whole_set_epochs = 100;
  bool random = true, early_stopping = true, whole_set = true;
  int64_t random_draws = 1;
  std::string images_per_class = "10";  ///< of random images, where there is no set
  double learning_rate = 0.01;
  std::string schedule = "drop", augmentation = "auto";
  int64_t batch_size = 256;
  double held_out = 0.1;
  std::vector<std::string> tops = {"5", "10", "20"};
  int64_t seed = 0;

  void declare(OptionSet& set);
  std::vector<int64_t> top_counts() const;  ///< ConfigError on what is no number
};

/// What networks are trained on in place of the whole set, or the whole set itself.
struct Proxy {
  std::string name;  ///< a set's, "random", "early stopping", "whole set"
  train::TrainOptions training;
  const data::BatchSource* source = nullptr;
  const data::Preprocessing* preprocessing = nullptr;
  int64_t images = 0, bytes = 0;
  std::string identity;  ///< by content
  bool whole = false;    ///< the whole set: tested, too
  int64_t steps() const;
};

/// The proxies of a search, with what they point to.
class Proxies {
 public:
  /// `data` has a validation part; it and the named sets must outlive the proxies.
  Proxies(const std::vector<std::pair<std::string, synthetic::Bundle>>& sets,
          const data::Dataset& data, const SearchOptions& options, at::Device device);
  const std::vector<Proxy>& all() const { return all_; }

 private:
  void add_set(const std::string& name, const synthetic::Bundle& bundle);
  void add_real(const std::string& name, int64_t epochs);
  void finish(Proxy& proxy) const;
  const data::Dataset& data_;
  const SearchOptions& options_;
  at::Device device_;
  std::vector<std::unique_ptr<data::BatchSource>> sources_;
  std::vector<std::unique_ptr<synthetic::Bundle>> chosen_;
  std::vector<Proxy> all_;
};

/// A network after its training on a proxy. Accuracies are fractions; 0 where it ran away.
struct Trial {
  double validation = 0, test = 0;  ///< the second of the whole set alone
  double seconds = 0;               ///< of one thread
  bool diverged = false;
};

/// How well a proxy ranks.
struct ProxyResult {
  std::string name;
  int64_t images = 0, bytes = 0, steps = 0;
  double seconds = 0;              ///< of all networks together, as one thread
  std::vector<double> validation;  ///< by network
  std::string chosen;              ///< the network that is best on the validation part
  std::optional<double> accuracy;  ///< of that network trained on the whole set, test part
  std::optional<Correlation> all;  ///< with the test accuracies after training on the whole set
  std::vector<Correlation> top;    ///< over the networks that are best there
  int64_t diverged = 0;
};

struct SearchResult {
  std::vector<std::string> networks;
  std::vector<ProxyResult> proxies;
  std::vector<double> whole;  ///< test accuracies after training on the whole set, by network
  int64_t test_images = 0, validation_images = 0;
};
Json to_json(const SearchResult& result);

/// Where a search runs.
struct SearchRun {
  const data::Dataset& data;
  const std::vector<std::string>& networks;
  const Proxies& proxies;
  const SearchOptions& options;
  KeptFigures& kept;
  at::Device device = at::kCPU;
  int threads = 1;  ///< networks side by side on a CPU, one thread each
  ProgressStyle style = {};
  const StopFlag* stop = nullptr;
  const ProcessGroup& group = ProcessGroup::alone();
};

/// Trains what is not known yet, largest first; the processes of a group share the networks.
/// Nothing after a stop. A network's figures are the same on any number of threads and processes.
std::optional<SearchResult> search(const SearchRun& run);

/// Seconds of one thread that what is not known yet will take, from a few steps of every network.
double remaining_seconds(const SearchRun& run);

}  // namespace retort::eval
