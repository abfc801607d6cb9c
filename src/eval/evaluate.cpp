// Students on a bundle, on random real images of the same number, and on the whole set.
#include "retort/eval/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <numeric>

#include "augment/training_strategy.h"
#include "core/mean.h"
#include "core/registry.h"
#include "eval/evaluation_notes.h"
#include "eval/post_training.h"
#include "eval/subjects.h"
#include "retort/core/error.h"
#include "train/sequential_training.h"

namespace retort::eval {
namespace {

using Networks = std::vector<std::unique_ptr<nets::Network>>;

const data::Split& part_of(const data::Dataset& data, const std::string& part) {
  if (part != "test" && part != "validation")
    throw ConfigError::unknown("choosing what to test on", "part", part, {"test", "validation"});
  const data::Split& split = part == "test" ? data.test : data.validation;
  if (split.size() > 0) return split;
  throw ConfigError({"choosing what to test on",
                     fmt::format("the {} part of '{}' is empty", part, data.name),
                     "a part with at least one image",
                     part == "validation" ? "set --validation-fraction above 0, such as 0.1"
                                          : "set --test-fraction above 0"});
}

/// The bundle's own network as the protocol wants it.
std::string network_of(const synthetic::Bundle& bundle, const Protocol& protocol) {
  std::string name = bundle.network.empty() ? "convnet" : bundle.network;
  const size_t place = (name + "-").find("-bn-");
  if (place == std::string::npos) return name;
  if (protocol.without_batchnorm) return name.replace(place, 3, "-nonorm");
  return evaluated_without_batchnorm(bundle) ? name.replace(place, 3, "-in") : name;
}

Networks make_networks(const synthetic::Bundle& bundle, const data::Dataset& data,
                       const Protocol& protocol, const std::vector<std::string>& asked) {
  std::vector<std::string> names = asked;
  if (names.empty()) names = {network_of(bundle, protocol)};
  Networks networks;
  for (const std::string& name : names)
    networks.push_back(
        nets::make_network(name, {data.channels, data.height, data.width, data.classes()}));
  return networks;
}

train::TrainOptions training_of(const Protocol& protocol, const synthetic::Bundle& bundle,
                                const data::Dataset& data, const EvalOptions& options) {
  train::TrainOptions training = protocol.training;
  if (training.augmentation == "auto")
    training.augmentation = bundle.augmentation.empty() ? augment::default_strategy(data.mirrorable)
                                                        : bundle.augmentation;
  const size_t flip = training.augmentation.find("_flip");
  if (flip != std::string::npos && !data.mirrorable && protocol.training.augmentation != "auto")
    training.augmentation.erase(flip, 5);  // digits, whatever the protocol was published for
  augment::parse_training_strategy(training.augmentation);  // refuses a damaged bundle early
  if (protocol.steps) {
    const int64_t images = bundle.images.size(0);
    const int64_t batches = (images + training.batch_size - 1) / training.batch_size;
    training.epochs = (protocol.steps(images) + batches - 1) / batches;
  }
  if (options.evaluation_epochs > 0) training.epochs = options.evaluation_epochs;
  return training;
}

/// A cross-entropy makes nothing of the targets of a regression.
void require_labels_of(const Protocol& protocol, const synthetic::Bundle& bundle) {
  const bool regression = bundle.soft_labels.defined() && bundle.soft_label_kind == "targets";
  if (!regression || protocol.training.loss == losses::Kind::kSquared) return;
  throw ConfigError({"preparing the labels of students",
                     fmt::format("the set's labels are targets of a regression, protocol '{}' "
                                 "takes probabilities",
                                 protocol.name),
                     "a protocol with a squared error, such as frepo", "give --protocol frepo"});
}

/// Bytes of the images and labels that a subject trains on.
void count_bytes(const synthetic::Bundle& bundle, const Subject& subject, Result& result) {
  const int64_t all = bundle.stored_bytes();
  int64_t images = 0;
  for (const auto& [name, bytes] : bundle.storage())
    if (name != "labels" && name != "soft_labels") images += bytes;
  const bool distilled = subject.name == "distilled";
  result.image_bytes =
      distilled ? images : result.images * static_cast<int64_t>(bundle.images[0].nbytes());
  result.label_bytes = distilled ? all - images : bundle.classes() * 8;
  if (distilled && bundle.soft_labels.defined()) result.labels = "soft";
  if (subject.taught.empty()) return;
  result.labels = subject.taught.front().labels;
  result.teacher_bytes = subject.taught.front().teacher_bytes;
  if (result.labels != "hard") result.label_bytes = subject.taught.front().label_bytes;
}

/// How far all groups of students together are, in steps of the optimizer.
class Advance {
 public:
  Advance(ProgressStyle style, const std::vector<Subject>& subjects, int64_t networks,
          int64_t students)
      : style_(style),
        groups_(networks * std::ssize(subjects)),
        progress_(style, "evaluation, all steps", networks * students * steps_of(subjects)) {}

  void begin(const std::string& group) {
    if (style_.out)
      *style_.out << fmt::format("{}{} of {}: {}\n", style_.terminal ? "\r\033[K" : "", ++group_,
                                 groups_, group)
                  << std::flush;
  }
  void add(int64_t steps, double loss) { progress_.update(done_ += steps, loss); }

 private:
  static int64_t steps_of(const std::vector<Subject>& subjects) {
    int64_t steps = 0;
    for (const Subject& subject : subjects) steps += subject.steps();
    return steps;
  }
  ProgressStyle style_;
  int64_t groups_, group_ = 0, done_ = 0;
  Progress progress_;
};

/// What all groups of students have in common.
struct Judge {
  const synthetic::Bundle& bundle;
  const std::optional<PostTraining>& post;
  const data::Split& validation;
  const data::Split& part;
  const EvalOptions& options;
  at::Device device;
  Advance& advance;
  const StopFlag* stop;

  bool stopped() const { return stop && stop->requested(); }

  /// Trains all students of one network on one subject and tests each once; no accuracies after a
  /// stop.
  Result operator()(const nets::Network& network, const Subject& subject) const {
    const auto begin = std::chrono::steady_clock::now();
    Result result;
    result.subject = subject.name;
    result.network = network.name();
    result.epochs = subject.training.epochs;
    result.images = subject.sources.front()->size();
    result.steps = subject.steps();
    result.draws = std::min(std::ssize(subject.sources), options.students);
    count_bytes(bundle, subject, result);
    Best best(network, validation, bundle.preprocessing, device, options.students);
    const std::vector<train::ModelState> students = train_students(network, subject, best);
    if (stopped()) return result;
    test(network, students, result);
    if (!subject.taught.empty() && best.on())
      for (const train::ModelState& student : best.kept())
        result.best.push_back(
            train::accuracy(network, student, part, bundle.preprocessing, device));
    result.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return result;
  }

  void test(const nets::Network& network, const std::vector<train::ModelState>& students,
            Result& result) const {
    result.class_accuracies.assign(part.rows_by_class.size(), 0);
    for (const train::ModelState& student : students) {
      const auto right =
          train::right_by_class(network, student, part, bundle.preprocessing, device);
      const auto all = std::accumulate(right.begin(), right.end(), int64_t{0});
      result.accuracies.push_back(static_cast<double>(all) / static_cast<double>(part.size()));
      for (size_t c = 0; c < right.size(); ++c)  // NaN where the class has no image
        result.class_accuracies[c] += static_cast<double>(right[c]) /
                                      static_cast<double>(part.rows_by_class[c].size()) /
                                      static_cast<double>(students.size());
      if (!student.average_theta.defined()) continue;
      train::ModelState average;
      average.theta = student.average_theta;
      average.state = student.average_state;
      result.averaged.push_back(
          train::accuracy(network, average, part, bundle.preprocessing, device));
    }
  }

  std::vector<train::ModelState> train_students(const nets::Network& network,
                                                const Subject& subject, Best& best) const {
    advance.begin(fmt::format("{} on {}, {} student{}", network.name(), subject.name,
                              options.students, options.students == 1 ? "" : "s"));
    train::TrainOptions training = subject.training;
    if (post && post->learning_rate &&
        !(bundle.student_learning_rate && subject.name == "distilled"))
      training.learning_rate = post->learning_rate(network.name(), bundle);
    const bool ordered = !subject.step_rates.empty();
    const int64_t each = ordered ? 1 : subject.steps_an_epoch();
    train::Callbacks callbacks;
    callbacks.stop = stop;
    callbacks.advice = divergence_advice(bundle, subject.name, network.name());
    callbacks.epoch = [&](const train::Epoch& epoch) {
      advance.add(each, epoch.loss);
      if (!subject.taught.empty()) best.see(epoch);
    };
    train::TrainSeed seed{static_cast<uint64_t>(options.seed), "eval.student", 0};
    if (ordered) {
      std::vector<train::ModelState> all;
      for (const train::Student& student : subject.students(options.students)) {
        seed.index = student.index;
        all.push_back(train::train_sequentially(network, *student.source, subject.counts,
                                                subject.step_rates, seed, device, callbacks));
      }
      return all;
    }
    return train::train_many(network, subject.students(options.students), training, seed, device,
                             callbacks);
  }
};

}  // namespace

double Result::mean() const {
  return mean_deviation(accuracies).mean;
}

double Result::deviation() const {
  return mean_deviation(accuracies).deviation;
}

double Result::balanced() const {
  std::vector<double> there;
  for (const double accuracy : class_accuracies)
    if (std::isfinite(accuracy)) there.push_back(accuracy);
  return mean_deviation(there).mean;
}

Evaluation evaluate(const synthetic::Bundle& bundle, const data::Dataset& data,
                    const EvalOptions& options, at::Device device, ProgressStyle style,
                    const StopFlag* stop) {
  check_fit(bundle, data);
  const data::Split& part = part_of(data, options.part);
  std::string name = options.protocol.empty() ? bundle.protocol : options.protocol;
  if (name.empty()) name = protocols().front().name;
  const Protocol& protocol = find_entry<Protocol>(protocols(), "protocol", name);
  const LabelSource teaching(protocol, bundle, data, options, device);
  train::TrainOptions training = training_of(protocol, bundle, data, options);
  if (teaching.on())
    training.batch_size = teaching.views().batch_size;
  else
    require_labels_of(protocol, bundle);
  const Networks networks = make_networks(bundle, data, protocol, options.networks);
  // Stored labels are those of one choice.
  const Redraw choice =
      teaching.stored() ? Redraw() : redraw_of(bundle, data, options, device, style);
  const std::vector<Subject> subjects =
      make_subjects({bundle, data, options, protocol, training, teaching, choice, device});

  Evaluation evaluation;
  evaluation.protocol = protocol.name;
  evaluation.shortened = options.evaluation_epochs > 0;
  if (evaluation.shortened)  // a figure never stands under a protocol that it did not follow
    evaluation.protocol += fmt::format(" with {} epoch{}", options.evaluation_epochs,
                                       options.evaluation_epochs == 1 ? "" : "s");
  evaluation.part = options.part;
  evaluation.data = data.name;
  evaluation.data_hash = data.hash;
  evaluation.class_names = data.class_names;
  for (const auto& members : part.rows_by_class)
    evaluation.class_images.push_back(std::ssize(members));
  evaluation.students = options.students;
  evaluation.training_images = bundle.images.size(0);
  evaluation.test_images = part.size();
  evaluation.seed = options.seed;
  evaluation.soft_labels = teaching.on() ? teaching.soft() : bundle.soft_labels.defined();
  evaluation.notes = evaluation_notes(
      {bundle, data, part, options, protocol, evaluation.soft_labels, static_cast<bool>(choice)});
  const data::Split none;
  Advance advance(style, subjects, std::ssize(networks), options.students);
  // What is tested on is not chosen by.
  const Judge judge{bundle,  protocol.post, options.part == "test" ? data.validation : none,
                    part,    options,       device,
                    advance, stop};
  for (const auto& network : networks) {
    for (const Subject& subject : subjects) {
      Result result = judge(*network, subject);
      if (judge.stopped()) return evaluation;
      evaluation.results.push_back(std::move(result));
    }
  }
  return evaluation;
}

}  // namespace retort::eval
