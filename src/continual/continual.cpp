// Options, measures, and the loop over orders and tasks.
#include "continual/continual.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "continual/stored_sets.h"
#include "continual/stream_learner.h"
#include "retort/core/error.h"
#include "retort/data/batch_source.h"

namespace retort::continual {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Bytes of a kept image as a bundle counts them, and its label.
int64_t kept_bytes(const data::Dataset& data) {
  return data.channels * data.height * data.width * static_cast<int64_t>(sizeof(float)) +
         static_cast<int64_t>(sizeof(int64_t));
}

int64_t batches(int64_t rows, int64_t batch) {
  return (rows + batch - 1) / batch;
}

/// One order of the stream and what is being learned of it.
class OrderRun {
 public:
  OrderRun(const ContinualInput& input, int64_t order)
      : input_(input),
        stream_(input.data, input.options, order),
        sets_(input.data.classes(), input.device) {}

  bool run() {
    bool any = false;
    for (const std::string& use : input_.uses) any = any || first_unknown(use) < stream_.size();
    if (!any) return true;
    if (input_.begin) input_.begin(stream_);
    if (wanted("retrain") || wanted("rehearsal"))
      for (int64_t task = 0; task < stream_.size(); ++task)
        if (!remember(task) || !retrain(task)) return false;
    for (const std::string& use : input_.uses)
      if (use != "retrain" && !pass(use)) return false;
    return true;
  }

 private:
  bool stopped() const { return input_.stop && input_.stop->requested(); }
  bool known(const std::string& use, int64_t task) const {
    return input_.known && input_.known(use, stream_.order(), task);
  }
  bool wanted(const std::string& use) const {
    return std::find(input_.uses.begin(), input_.uses.end(), use) != input_.uses.end();
  }
  int64_t first_unknown(const std::string& use) const {
    int64_t task = 0;
    while (task < stream_.size() && known(use, task)) ++task;
    return task;
  }

  bool remember(int64_t task) {
    std::optional<synthetic::Bundle> bundle =
        input_.condense(stream_.arrive(task), stream_.order(), task);
    if (!bundle) return false;
    sets_.add(*bundle, stream_.task(task));
    return true;
  }

  std::string label(const std::string& use, int64_t task) const {
    return fmt::format("{}, {}, order {}/{}, task {}/{}", input_.name, use, stream_.order() + 1,
                       input_.options.orders, task + 1, stream_.size());
  }

  double correct(const train::ModelState& trained, int64_t task) const {
    const data::Split& test = stream_.test(task);
    const data::Preprocessing& preprocessing = input_.data.preprocessing;
    if (!stream_.kind().masked)
      return train::accuracy(input_.network, trained, test, preprocessing, input_.device);
    constexpr int64_t kChunk = 1024;  // bounds the float copy of the images
    const at::Tensor classes = at::tensor(stream_.task(task).classes, at::kLong);
    int64_t right = 0;
    for (int64_t begin = 0; begin < test.size(); begin += kChunk) {
      const int64_t count = std::min(kChunk, test.size() - begin);
      const at::Tensor logits =
          input_.network
              .predict(trained.theta, trained.state,
                       preprocessing.apply(test.images.narrow(0, begin, count), input_.device))
              .to(at::kCPU);
      const at::Tensor found = classes.index_select(0, logits.index_select(1, classes).argmax(1));
      right += found.eq(test.labels.narrow(0, begin, count)).sum().item<int64_t>();
    }
    return static_cast<double>(right) / static_cast<double>(test.size());
  }

  /// Adds a student to what is known of `learned.task`.
  void judge(Learned& learned, const train::ModelState& student,
             const train::ModelState& untaught) const {
    std::vector<double> row;
    double right = 0, all = 0;
    for (int64_t t = 0; t <= std::min(learned.task + 1, stream_.size() - 1); ++t) {
      row.push_back(correct(student, t));
      if (t > learned.task) continue;
      const auto size = static_cast<double>(stream_.test(t).size());
      right += row.back() * size;
      all += size;
    }
    learned.seen.push_back(right / all);
    learned.accuracies.push_back(std::move(row));
    learned.initial.push_back(correct(untaught, learned.task));
  }

  bool retrain(int64_t task) {
    if (!wanted("retrain") || known("retrain", task)) return true;
    const Clock::time_point begin = Clock::now();
    const Recalled recalled = sets_.recall();
    const auto source = data::tensor_source(recalled.images, recalled.targets);
    train::TrainOptions training = input_.training;
    if (recalled.learned_rate > 0) training.learning_rate = recalled.learned_rate;
    std::vector<train::Student> students;
    const int64_t count = input_.options.students;
    const int64_t first = (stream_.order() * stream_.size() + task) * count;
    for (int64_t s = 0; s < count; ++s)
      students.push_back({source.get(), static_cast<uint64_t>(first + s)});
    Progress progress(input_.progress, label("retrain", task), count * train::passes(training));
    int64_t done = 0;
    train::Callbacks callbacks;
    callbacks.stop = input_.stop;
    callbacks.epoch = [&](const train::Epoch& epoch) { progress.update(++done, epoch.loss); };
    train::TrainSeed seed{static_cast<uint64_t>(input_.options.seed), "continual.student", 0};
    const auto trained =
        train::train_many(input_.network, students, training, seed, input_.device, callbacks);
    if (stopped()) return false;
    Learned learned{"retrain", stream_.order(), task, {}, {}, {}, sets_.stored_bytes(task)};
    learned.buffered_samples = samples_of(task);
    learned.steps = train::passes(training) * batches(source->size(), training.batch_size);
    for (size_t s = 0; s < trained.size(); ++s) {
      seed.index = students[s].index;
      const train::Start start = train::initial_start(input_.network, seed);
      judge(learned, trained[s], {start.theta.to(input_.device), start.state, 0});
    }
    learned.seconds = seconds_since(begin);
    input_.record(learned);
    return true;
  }

  /// One pass over the whole stream. Networks are not kept between starts: a pass that was cut is
  /// repeated from its first task, and ends in the same figures.
  bool pass(const std::string& use) {
    if (first_unknown(use) == stream_.size()) return true;
    const StoredSets* sets = use == "rehearsal" ? &sets_ : nullptr;
    std::vector<StreamLearner> learners;
    std::vector<train::ModelState> untaught;
    for (int64_t s = 0; s < input_.options.students; ++s) {
      learners.emplace_back(input_, stream_, use, sets, s);
      untaught.push_back(learners.back().network());
      untaught.back().theta = untaught.back().theta.clone();
    }
    Progress progress(input_.progress, label(use, stream_.size() - 1), stream_.size());
    int64_t steps = 0;
    for (int64_t task = 0; task < stream_.size(); ++task) {
      const Clock::time_point begin = Clock::now();
      steps += input_.options.glances * batches(samples_of(task), input_.options.batch_size);
      for (StreamLearner& learner : learners)
        if (!learner.learn(task)) return false;
      progress.update(task + 1);
      if (known(use, task)) continue;
      Learned learned{use, stream_.order(), task};
      learned.steps = steps;
      if (sets) learned.stored_bytes = sets->stored_bytes(task);
      if (use == "replay")
        learned.stored_bytes =
            std::min(input_.options.memory, seen_samples(task)) * kept_bytes(input_.data);
      learned.buffered_samples = sets ? samples_of(task) : input_.options.batch_size;
      for (size_t s = 0; s < learners.size(); ++s)
        judge(learned, learners[s].network(), untaught[s]);
      learned.seconds = seconds_since(begin);
      input_.record(learned);
    }
    return true;
  }

  int64_t samples_of(int64_t task) const { return std::ssize(stream_.task(task).rows); }
  int64_t seen_samples(int64_t task) const {
    int64_t seen = 0;
    for (int64_t t = 0; t <= task; ++t) seen += samples_of(t);
    return seen;
  }

  const ContinualInput& input_;
  const TaskStream stream_;
  StoredSets sets_;
};

}  // namespace

void ContinualOptions::take(const StreamKind& kind) {
  stream = kind.name;
  tasks = kind.tasks;
  students = kind.once ? 1 : 3;
  samples_per_task = kind.samples_per_task;
  memory = kind.memory;
  glances = kind.glances;
}

void ContinualOptions::declare(OptionSet& options) {
  const StreamKind& kind = find_stream(stream);
  std::vector<std::string> names;
  for (const StreamKind& one : stream_kinds()) names.push_back(one.name);
  options.group("Stream");
  options.add("stream", stream, "what the tasks are that come one after another",
              {.choices = names});
  options.add(kind.once ? "tasks" : "steps", tasks, "number of tasks", {.min = 1, .max = 10000});
  options.add("orders", orders, "number of streams to draw; each is learned by itself",
              {.min = 1, .max = 1000});
  options.add("students", students, "number of networks that learn each stream",
              {.min = 1, .max = 1000});
  options.add("samples_per_task", samples_per_task,
              "training images that arrive with a task, balanced over its classes; 0: all",
              {.min = 0});
  options.add("test_samples", test_samples, "test images of a task; 0: all", {.min = 0});
  options.add("evaluation_epochs", evaluation_epochs,
              "epochs of a network trained on the stored sets; 0: the protocol's",
              {.min = 0, .max = 1e6});
  if (!kind.once) return;
  options.add("memory", memory, "images that may be stored, of all tasks together", {.min = 1});
  options.add("batch_size", batch_size, "samples of a batch of the stream", {.min = 1});
  options.add("glances", glances, "steps on each batch of the stream", {.min = 1, .max = 1000});
  options.add("stream_learning_rate", learning_rate, "rate of these steps, plain SGD", {.min = 0});
}

Transfer measure_transfer(const Accuracies& accuracies, const std::vector<double>& initial) {
  Transfer found;
  const size_t tasks = accuracies.size();
  if (tasks == 0) return found;
  for (size_t t = 0; t < tasks; ++t) {
    found.retained += accuracies.back().at(t) / static_cast<double>(tasks);
    found.learning += accuracies[t].at(t) / static_cast<double>(tasks);
    if (t > 0)
      found.forward += (accuracies[t - 1].at(t) - initial.at(t)) / static_cast<double>(tasks - 1);
  }
  found.backward = found.retained - found.learning;
  return found;
}

Json Learned::json() const {
  return {{"kind", "learned"},        {"use", use},
          {"order", order},           {"task", task},
          {"accuracies", accuracies}, {"seen", seen},
          {"initial", initial},       {"stored_bytes", stored_bytes},
          {"steps", steps},           {"buffered_samples", buffered_samples},
          {"seconds", seconds}};
}

bool learn_continually(const ContinualInput& input) {
  const ProcessGroup& group = *input.group;
  for (int64_t first = 0; first < input.options.orders; first += group.size()) {
    const int64_t order = first + group.rank();
    const bool whole = order >= input.options.orders || OrderRun(input, order).run();
    if (input.round) input.round();
    if (group.any(!whole)) return false;
  }
  return true;
}

}  // namespace retort::continual
