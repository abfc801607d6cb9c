#include "eval/lessons.h"

#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>

#include "core/sizes.h"
#include "eval/evaluation_notes.h"
#include "retort/core/error.h"
#include "retort/core/random.h"
#include "train/learning_rate.h"
#include "train/loop.h"
#include "train/right_by_class.h"
#include "train/sequential_training.h"

namespace retort::eval {
namespace {

/// Plain descent on fixed batches, again from the first after the last: an epoch is a step.
void put_in_order(Lesson& lesson, const Subject& subject, const data::BatchSource& source) {
  lesson.training.optimizer = "sgd";
  lesson.training.momentum = 0;
  lesson.training.weight_decay = 0;
  lesson.training.average_decay = 0;
  lesson.epochs = std::ssize(subject.step_rates);
  lesson.batches = 1;
  lesson.batch = [&source, rows = train::ordered_batches(subject.counts)](int64_t step, int64_t) {
    const std::vector<int64_t>& now = rows[to_size(step) % rows.size()];
    const data::Batch batch = source.get(now);
    return train::LabelledBatch{batch.images, {batch.targets}, now};
  };
  lesson.rate = [&subject](int64_t step, int64_t) { return subject.step_rates[to_size(step)]; };
  lesson.resets = [](int64_t) { return false; };
}

StateError diverged(const Lesson& lesson, int64_t epoch, double loss, const std::string& advice) {
  return StateError(
      {fmt::format("training {} (student {} on {}), epoch {} of {}", lesson.network,
                   lesson.student + 1, lesson.subject, epoch + 1, lesson.epochs),
       fmt::format("the mean loss is {} at learning rate {}", loss, lesson.rate(epoch, 0)),
       "a finite loss", advice});
}

}  // namespace

Lesson lesson_of(const Judge& judge, const Subject& subject, const std::string& network,
                 int64_t student) {
  const train::Student taught = subject.students({student}).front();
  train::TrainSeed seed = judge.seed();
  seed.index = taught.index;
  Lesson lesson;
  lesson.network = network;
  lesson.subject = subject.name;
  lesson.student = student;
  lesson.seed = RandomStream(seed.seed, seed.purpose + ".module", seed.index).next_u64();
  lesson.training = judge.training(subject, network);
  lesson.device = judge.device;
  if (!subject.step_rates.empty()) {
    put_in_order(lesson, subject, *taught.source);
    return lesson;
  }
  const train::TrainOptions& training = lesson.training;
  std::shared_ptr<const train::BatchStream> own;
  if (!taught.batch_stream)
    own.reset(new train::ShuffledBatches(train::shuffled_batches(
        *taught.source, training, std::ssize(judge.part.rows_by_class), seed)));
  const train::BatchStream* batches = taught.batch_stream ? taught.batch_stream : own.get();
  lesson.epochs = train::passes(training);
  lesson.batches = batches->batches();
  lesson.batch = [own, batches](int64_t epoch, int64_t batch) {
    return batches->get(epoch, batch);
  };
  lesson.rate = [training, count = lesson.batches](int64_t epoch, int64_t batch) {
    return train::learning_rate_at(training, epoch, batch, count);
  };
  lesson.resets = [training](int64_t epoch) { return train::resets_before(training, epoch); };
  return lesson;
}

double Judge::accuracy(const Predict& predict, const data::Split& split) const {
  const auto right = train::right_by_class(predict, split, bundle.preprocessing, device);
  return static_cast<double>(std::accumulate(right.begin(), right.end(), int64_t{0})) /
         static_cast<double>(split.size());
}

std::optional<Marks> Judge::teach(const Learner& learner, const Subject& subject,
                                  int64_t student) const {
  const bool choosing = !subject.taught.empty() && validation.size() > 0;
  Lesson lesson = lesson_of(*this, subject, learner.name, student);
  double highest = -1, tested = 0;  // of the epochs of the last fifth, as Best has them
  lesson.done = [&](int64_t epoch, double loss, const Predict& now) {
    if (!std::isfinite(loss))
      throw diverged(lesson, epoch, loss, divergence_advice(bundle, subject.name, learner.name));
    advance.add(lesson.batches, loss);
    if (choosing && 5 * (epoch + 1) > 4 * lesson.epochs)
      if (const double found = accuracy(now, validation); found > highest) {
        highest = found;
        tested = accuracy(now, part);
      }
    return !stopped();
  };
  const Learned learned = learner.train(lesson);
  if (stopped()) return {};
  Marks marks;
  marks.confusion = confusion(learned.predict);
  if (learned.average) marks.averaged.push_back(accuracy(learned.average, part));
  if (choosing) marks.best.push_back(tested);
  return marks;
}

std::vector<Marks> Judge::operator()(const Learner& learner, const Subject& subject,
                                     const std::vector<int64_t>& students) const {
  std::vector<Marks> all;
  if (students.empty()) return all;
  advance.begin(fmt::format("{} on {}, {} student{}", learner.name, subject.name, students.size(),
                            students.size() == 1 ? "" : "s"));
  for (const int64_t student : students) {
    std::optional<Marks> marks = teach(learner, subject, student);
    if (!marks) return {};
    all.push_back(std::move(*marks));
  }
  return all;
}

}  // namespace retort::eval
