#include "eval/judge.h"

#include <fmt/format.h>

#include <cmath>

#include "core/sizes.h"
#include "eval/evaluation_notes.h"
#include "train/right_by_class.h"
#include "train/sequential_training.h"

namespace retort::eval {

std::vector<Marks> Judge::operator()(const nets::Network& network, const Subject& subject,
                                     const std::vector<int64_t>& students) const {
  std::vector<Marks> all;
  if (students.empty()) return all;
  Best best(network, validation, bundle.preprocessing, device, options.students);
  const std::vector<train::ModelState> trained = train_students(network, subject, students, best);
  if (stopped()) return all;
  for (size_t i = 0; i < trained.size(); ++i) {
    Marks& marks = all.emplace_back(test(network, trained[i]));
    if (!subject.taught.empty() && best.on())
      marks.best.push_back(train::accuracy(network, best.kept()[to_size(students[i])], part,
                                           bundle.preprocessing, device));
  }
  return all;
}

std::vector<double> Judge::confusion(const Predict& predict) const {
  const at::Tensor counts =
      train::confusion(predict, part, bundle.preprocessing, device).to(at::kDouble);
  return {counts.data_ptr<double>(), counts.data_ptr<double>() + counts.numel()};
}

Marks Judge::test(const nets::Network& network, const train::ModelState& student) const {
  Marks marks;
  marks.confusion = confusion([&](const at::Tensor& images) {
    return network.predict(student.theta, student.state, images);
  });
  if (!student.average_theta.defined()) return marks;
  train::ModelState average;
  average.theta = student.average_theta;
  average.state = student.average_state;
  marks.averaged.push_back(train::accuracy(network, average, part, bundle.preprocessing, device));
  return marks;
}

std::vector<train::ModelState> Judge::train_students(const nets::Network& network,
                                                     const Subject& subject,
                                                     const std::vector<int64_t>& students,
                                                     Best& best) const {
  advance.begin(fmt::format("{} on {}, {} student{}", network.name(), subject.name, students.size(),
                            students.size() == 1 ? "" : "s"));
  const bool ordered = !subject.step_rates.empty();
  const int64_t each = ordered ? 1 : subject.steps_an_epoch();
  train::Callbacks callbacks;
  callbacks.stop = stop;
  callbacks.advice = divergence_advice(bundle, subject.name, network.name());
  callbacks.epoch = [&](const train::Epoch& epoch) {
    advance.add(each, epoch.loss);
    if (!subject.taught.empty()) best.see(epoch);
  };
  train::TrainSeed seed = this->seed();
  if (ordered) {
    std::vector<train::ModelState> all;
    for (const train::Student& student : subject.students(students)) {
      seed.index = student.index;
      all.push_back(train::train_sequentially(network, *student.source, subject.counts,
                                              subject.step_rates, seed, device, callbacks));
    }
    return all;
  }
  return train::train_many(network, subject.students(students), training(subject, network.name()),
                           seed, device, callbacks);
}

train::TrainOptions Judge::training(const Subject& subject, const std::string& network) const {
  train::TrainOptions training = subject.training;
  if (post && post->learning_rate && !(bundle.student_learning_rate && subject.name == "distilled"))
    training.learning_rate = post->learning_rate(network, bundle);
  return training;
}

void add_marks(const std::vector<Marks>& all, const data::Split& part, Result& result) {
  const size_t classes = part.rows_by_class.size();
  result.class_accuracies.assign(classes, 0);
  result.confusion.assign(classes * classes, 0);
  for (const Marks& marks : all) {
    double right = 0;
    for (size_t c = 0; c < classes; ++c) {
      const double hits = marks.confusion[c * classes + c];
      right += hits;
      result.class_accuracies[c] += hits / static_cast<double>(part.rows_by_class[c].size()) /
                                    static_cast<double>(all.size());
    }
    for (size_t i = 0; i < marks.confusion.size(); ++i)
      result.confusion[i] += std::llround(marks.confusion[i]);
    result.accuracies.push_back(right / static_cast<double>(part.size()));
    result.averaged.insert(result.averaged.end(), marks.averaged.begin(), marks.averaged.end());
    result.best.insert(result.best.end(), marks.best.begin(), marks.best.end());
  }
}

std::vector<Marks> gathered(const ProcessGroup& group, const std::vector<Marks>& mine,
                            size_t classes) {
  if (group.size() == 1) return mine;
  std::vector<double> numbers;
  for (const Marks& marks : mine)
    for (const auto* some : {&marks.confusion, &marks.averaged, &marks.best}) {
      if (some != &marks.confusion) numbers.push_back(static_cast<double>(some->size()));
      numbers.insert(numbers.end(), some->begin(), some->end());
    }
  numbers = group.gather(numbers);
  std::vector<Marks> all;
  for (auto next = numbers.begin(); next != numbers.end();) {
    const auto take = [&next](size_t count) {
      const auto first = next;
      next += static_cast<std::ptrdiff_t>(count);
      return std::vector<double>(first, next);
    };
    Marks& marks = all.emplace_back(Marks{take(classes * classes), {}, {}});
    for (auto* some : {&marks.averaged, &marks.best}) *some = take(to_size(std::llround(*next++)));
  }
  return all;
}

}  // namespace retort::eval
