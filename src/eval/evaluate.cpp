// Students on a bundle, on random real images of the same number, and on the whole set.
#include "retort/eval/evaluate.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <numeric>

#include "core/mean.h"
#include "core/sizes.h"
#include "eval/cost.h"
#include "eval/evaluate_under.h"
#include "eval/evaluation_notes.h"
#include "eval/judge.h"
#include "eval/preparing.h"
#include "retort/core/error.h"
#include "train/train_many.h"

namespace retort::eval {
namespace {

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

/// What is known of a group of students before it is tested.
Result result_of(const synthetic::Bundle& bundle, const std::string& network,
                 const Subject& subject, int64_t students) {
  Result result;
  result.subject = subject.name;
  result.network = network;
  result.epochs = subject.training.epochs;
  result.images = subject.sources.front()->size();
  result.steps = subject.steps();
  result.draws = std::min(std::ssize(subject.sources), students);
  count_bytes(bundle, subject, result);
  return result;
}

/// What an evaluation trains and tests, when all of it is made.
struct Work {
  const synthetic::Bundle& bundle;
  const data::Dataset& data;
  const EvalOptions& options;
  const Protocol& protocol;
  const data::Split& part;
  const Networks& networks;
  const std::vector<Subject>& subjects;
  at::Device device;
  ProgressStyle style;
  const StopFlag* stop;

  /// Networks first, then learners.
  const Learner& learner(int64_t kind) const {
    return options.learners[to_size(kind - std::ssize(networks))];
  }
  const std::string& name(int64_t kind) const {
    return kind < std::ssize(networks) ? networks[to_size(kind)]->name() : learner(kind).name;
  }
  std::vector<Marks> marks(const Judge& judge, int64_t kind, const Subject& subject,
                           const std::vector<int64_t>& students) const {
    if (kind < std::ssize(networks)) return judge(*networks[to_size(kind)], subject, students);
    return judge(learner(kind), subject, students);
  }

  /// Seconds of this process's share.
  double expected(const ProcessGroup& group) const {
    const auto kinds = std::ssize(networks);
    const Dealt dealt(group, kinds, std::ssize(subjects), options.students);
    Advance silent({}, 0, 0);
    const data::Split none;
    const Judge judge{bundle, protocol.post, none, part, options, device, silent, stop};
    double seconds = 0;
    for (int64_t n = 0; n < kinds; ++n)
      for (int64_t i = 0; i < std::ssize(subjects); ++i)
        seconds += expected(judge, *networks[to_size(n)], subjects[to_size(i)],
                            std::ssize(dealt.students(n, i)));
    return seconds;
  }
  /// Of so many students.
  double expected(const Judge& judge, const nets::Network& network, const Subject& subject,
                  int64_t students) const {
    if (students == 0) return 0;
    const train::TrainOptions training = judge.training(subject, network.name());
    const int64_t rows = std::min(subject.sources.front()->size(), training.batch_size);
    const int64_t together =
        device.is_cpu() ? train::students_at_once(students, rows, at::get_num_threads()) : 1;
    std::vector<int64_t> some(to_size(together));
    std::iota(some.begin(), some.end(), 0);
    const TrainingCost cost = measure_training(network, subject.students(some), training, part,
                                               bundle.preprocessing, device);
    const int64_t rounds = (students + together - 1) / together;
    return static_cast<double>(rounds * subject.steps()) * cost.step +
           static_cast<double>(students * part.size()) * cost.test;
  }

  /// Adds the results, those that were finished where it was asked to stop.
  void run(const ProcessGroup& group, Evaluation& evaluation) const {
    const int64_t kinds = std::ssize(networks) + std::ssize(options.learners);
    const Dealt dealt(group, kinds, std::ssize(subjects), options.students);
    int64_t steps = 0;
    for (int64_t n = 0; n < kinds; ++n)
      for (int64_t i = 0; i < std::ssize(subjects); ++i)
        steps += std::ssize(dealt.students(n, i)) * subjects[to_size(i)].steps();
    Advance advance(style, kinds * std::ssize(subjects), steps);
    const data::Split none;  // what is tested on is not chosen by
    const Judge judge{bundle,  protocol.post, options.part == "test" ? data.validation : none,
                      part,    options,       device,
                      advance, stop};
    std::vector<std::vector<Marks>> mine;
    for (int64_t n = 0; n < kinds; ++n) {
      for (int64_t i = 0; i < std::ssize(subjects); ++i) {
        const auto begin = std::chrono::steady_clock::now();
        const Subject& subject = subjects[to_size(i)];
        Result result = result_of(bundle, name(n), subject, options.students);
        mine.push_back(marks(judge, n, subject, dealt.students(n, i)));
        if (judge.stopped()) break;
        result.seconds =
            std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        evaluation.results.push_back(std::move(result));
      }
      if (judge.stopped()) break;
    }
    if (group.size() > 1 && group.any(judge.stopped())) evaluation.results.clear();
    for (size_t i = 0; i < evaluation.results.size(); ++i)
      add_marks(gathered(group, mine[i], part.rows_by_class.size()), part, evaluation.results[i]);
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
                    const StopFlag* stop, const ProcessGroup& group) {
  check_fit(bundle, data);
  part_of(data, options.part);
  return evaluate_under(
      {bundle, data, protocol_of(bundle, options), options, {}, device, style, stop, group});
}

namespace {

/// What is trained in an evaluation, when all of it is made.
struct Prepared {
  explicit Prepared(const Judgement& judgement)
      : part(part_of(judgement.data, judgement.options.part)),
        teaching(judgement.protocol, judgement.bundle, judgement.data, judgement.options,
                 judgement.device),
        training(
            training_of(judgement.protocol, judgement.bundle, judgement.data, judgement.options)) {
    const auto& [bundle, data, protocol, options, redraw, device, style, stop, group] = judgement;
    if (teaching.on())
      training.batch_size = teaching.views().batch_size;
    else
      require_labels_of(protocol, bundle);
    networks = make_networks(bundle, data, protocol, options);
    // Stored labels are those of one choice.
    choice = redraw              ? redraw
             : teaching.stored() ? Redraw()
                                 : redraw_of(bundle, data, options, device, style);
    subjects = make_subjects({bundle, data, options, protocol, training, teaching, choice, device});
  }
  Work work(const Judgement& judgement) const {
    return {
        judgement.bundle, judgement.data, judgement.options, judgement.protocol, part,
        networks,         subjects,       judgement.device,  judgement.style,    judgement.stop};
  }

  const data::Split& part;
  const LabelSource teaching;
  train::TrainOptions training;
  Networks networks;
  Redraw choice;
  std::vector<Subject> subjects;
};

}  // namespace

double expected_seconds(const Judgement& judgement) {
  check_fit(judgement.bundle, judgement.data);
  return Prepared(judgement).work(judgement).expected(judgement.group);
}

Evaluation evaluate_under(const Judgement& judgement) {
  const auto& [bundle, data, protocol, options, redraw, device, style, stop, group] = judgement;
  check_fit(bundle, data);
  const Prepared prepared(judgement);
  const data::Split& part = prepared.part;
  const LabelSource& teaching = prepared.teaching;

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
  evaluation.notes = evaluation_notes({bundle, data, part, options, protocol,
                                       evaluation.soft_labels, static_cast<bool>(prepared.choice)});
  prepared.work(judgement).run(group, evaluation);
  return evaluation;
}

}  // namespace retort::eval
