// Learning tasks that come one after another, with a small memory: streams of tasks made of any
// data set, ways to use what is remembered, and what is measured. Class-incremental learning as in
// DM (Zhao and Bilen, WACV 2023, after GDumb); the other streams as in La-MAML, MER and GEM.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/sizes.h"
#include "retort/core/options.h"
#include "retort/core/process_group.h"
#include "retort/core/progress.h"
#include "retort/core/records.h"
#include "retort/core/stop.h"
#include "retort/data/dataset.h"
#include "retort/nets/network.h"
#include "retort/synthetic/bundle.h"
#include "retort/train/trainer.h"

namespace retort::continual {

/// A kind of stream, with its published settings.
struct StreamKind {
  std::string name, summary;
  bool new_classes;  ///< every task brings classes; else every class comes in other pixels
  bool masked;       ///< the task is known at a test: the logits of other tasks' classes are masked
  bool once;  ///< samples are seen once, the memory is counted in images; else images per class
  int64_t tasks, samples_per_task, memory, glances;
  std::string network, protocol;
  std::vector<std::string> deviations = {};  ///< where it differs from the reference code
};
const std::vector<StreamKind>& stream_kinds();
/// ConfigError on an unknown name.
const StreamKind& find_stream(const std::string& name);

/// A stream and how it is learned: everything that figures must share to stand in one table.
struct ContinualOptions {
  std::string stream = "class-incremental";
  int64_t tasks = 5;             ///< `steps` of class-incremental learning
  int64_t orders = 5;            ///< streams drawn, each learned on its own
  int64_t students = 1;          ///< networks per order
  int64_t samples_per_task = 0;  ///< 0: all
  int64_t test_samples = 0;      ///< per task, 0: all
  int64_t memory = 0;            ///< images of all tasks together
  int64_t batch_size = 10;       ///< of samples that are seen once
  int64_t glances = 1;           ///< steps on each of these batches
  double learning_rate = 0.03;   ///< of these steps, plain SGD
  int64_t evaluation_epochs = 0;
  int64_t seed = 0;  ///< not declared: the seed of the whole command

  /// Takes the published settings of a stream; call before declare.
  void take(const StreamKind& kind);
  /// Declares what the kind of stream uses.
  void declare(OptionSet& options);
};

/// What distinguishes a task.
struct Task {
  std::vector<int64_t> classes;  ///< of the data set, in the order of the task
  double angle = 0;              ///< degrees against the clock
  uint64_t pixel_seed = 0;
  std::vector<int64_t> pixels = {};  ///< pixel i is pixel pixels[i] of the image; empty: unmoved
  std::vector<int64_t> rows = {};    ///< its training images
};

/// One drawn stream. `data` outlives it.
class TaskStream {
 public:
  /// ConfigError, with everything wrong at once, where the data cannot give the stream.
  TaskStream(const data::Dataset& data, const ContinualOptions& options, int64_t order);

  int64_t size() const { return std::ssize(tasks_); }
  const Task& task(int64_t index) const { return tasks_.at(to_size(index)); }
  const data::Dataset& data() const { return data_; }
  const StreamKind& kind() const { return kind_; }
  int64_t order() const { return order_; }
  /// The samples of a task as a training part of its classes alone; no test part.
  data::Dataset arrive(int64_t task) const;
  /// Test images of a task, with the data set's labels; kept in memory once made.
  const data::Split& test(int64_t task) const;
  /// All that was drawn, as a record of kind "order".
  Json record() const;

 private:
  at::Tensor moved(const at::Tensor& images, const Task& task) const;

  const data::Dataset& data_;
  const StreamKind& kind_;
  int64_t order_, test_samples_, seed_;
  std::vector<Task> tasks_;
  mutable std::vector<data::Split> tests_;
};

/// Fixed class orders of 100 classes (numpy's legacy generator, seeds 0 to 4); others are drawn.
std::vector<int64_t> class_order(int64_t classes, int64_t order, uint64_t seed);

/// R[i][t] is the accuracy on task t after task i; t goes at least to min(i + 1, T - 1).
using Accuracies = std::vector<std::vector<double>>;

/// What a matrix of accuracies says (Riemer et al. 2019; Lopez-Paz and Ranzato 2017).
struct Transfer {
  double retained = 0;  ///< RA: mean over t of R[T-1][t]
  double learning = 0;  ///< LA: mean of R[t][t]
  double backward = 0;  ///< BTI: RA - LA, negative where tasks are forgotten
  double forward = 0;   ///< mean over t >= 1 of R[t-1][t] - initial[t]; 0 for one task
};
/// `initial[t]` is the accuracy on task t of a network that has learned nothing.
Transfer measure_transfer(const Accuracies& accuracies, const std::vector<double>& initial);

/// What is known when a task is learned.
struct Learned {
  std::string use;
  int64_t order = 0, task = 0;
  Accuracies accuracies = {};        ///< of every student, on tasks 0 to min(task + 1, T - 1)
  std::vector<double> seen = {};     ///< of every student, on all test images of the tasks so far
  std::vector<double> initial = {};  ///< of every student before learning, on this task
  int64_t stored_bytes = 0;          ///< kept of the tasks so far
  int64_t steps = 0;                 ///< of the network, up to now where it goes on
  int64_t buffered_samples = 0;      ///< of the task, held at once while it was current
  double seconds = 0;
  Json json() const;
};

/// Makes the stored set of a task from its samples; nothing where it was asked to stop.
using Condense = std::function<std::optional<synthetic::Bundle>(const data::Dataset& samples,
                                                                int64_t order, int64_t task)>;

/// What is learned with. Uses of stored sets ("retrain": from scratch on all of them after every
/// task; "rehearsal": one pass over the stream beside batches of earlier tasks' sets) and baselines
/// without them ("online": the pass alone; "replay": beside a reservoir of real images).
struct ContinualInput {
  const data::Dataset& data;
  const nets::Network& network;
  const ContinualOptions& options;
  train::TrainOptions training;   ///< of "retrain"
  std::vector<std::string> uses;  ///< of one kind: with sets, or one without
  Condense condense;              ///< may be empty where no use takes sets
  at::Device device;
  std::string name;  ///< in progress lines
  ProgressStyle progress = {};
  const StopFlag* stop = nullptr;
  std::function<bool(const std::string& use, int64_t order, int64_t task)> known = {};
  std::function<void(const TaskStream&)> begin = {};  ///< an order that is not wholly known begins
  std::function<void(const Learned&)> record = {};
  /// Processes that make the same call share the orders: each tells its own of what it learned.
  const ProcessGroup* group = &ProcessGroup::alone();
  /// After as many orders as there are processes, when all have learned one.
  std::function<void()> round = {};
};

/// Learns what is not known yet, order after order; false where it was asked to stop. Every figure
/// depends on its own use, order and task only, so that a run may be cut anywhere.
bool learn_continually(const ContinualInput& input);

}  // namespace retort::continual
