// Training and testing the students of an evaluation, and putting together what several processes
// found.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "eval/subjects.h"
#include "retort/core/process_group.h"
#include "retort/core/share.h"
#include "retort/eval/learner.h"

namespace retort::eval {

/// How far all groups of students together are, in steps of the optimizer.
class Advance {
 public:
  /// `steps` are those of all students that are counted.
  Advance(ProgressStyle style, int64_t groups, int64_t steps)
      : style_(style), groups_(groups), progress_(style, "evaluation, all steps", steps) {}

  void begin(const std::string& group) {
    if (style_.out)
      *style_.out << fmt::format("{}{} of {}: {}\n", style_.terminal ? "\r\033[K" : "", ++group_,
                                 groups_, group)
                  << std::flush;
  }
  void add(int64_t steps, double loss) { progress_.update(done_ += steps, loss); }

 private:
  ProgressStyle style_;
  int64_t groups_, group_ = 0, done_ = 0;
  Progress progress_;
};

/// The students of an evaluation, numbered over networks, subjects and students in that order:
/// which of them this process trains.
class Dealt {
 public:
  Dealt(const ProcessGroup& group, int64_t networks, int64_t subjects, int64_t students)
      : subjects_(subjects), students_(students) {
    const Share share = Share().within(group);
    begin_ = share.begin(networks * subjects * students);
    end_ = share.end(networks * subjects * students);
  }
  std::vector<int64_t> students(int64_t network, int64_t subject) const {
    const int64_t first = (network * subjects_ + subject) * students_;
    std::vector<int64_t> mine;
    for (int64_t i = std::max(begin_, first); i < std::min(end_, first + students_); ++i)
      mine.push_back(i - first);
    return mine;
  }

 private:
  int64_t subjects_, students_, begin_ = 0, end_ = 0;
};

/// What one student took the part's images for.
struct Marks {
  std::vector<double> confusion;       ///< [K, K]: rows of a class, by the class they are taken for
  std::vector<double> averaged, best;  ///< accuracies, one or none
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
  /// Trains students of one network on one subject and tests each once; nothing after a stop.
  std::vector<Marks> operator()(const nets::Network& network, const Subject& subject,
                                const std::vector<int64_t>& students) const;
  /// The same of students that are no Network of ours.
  std::vector<Marks> operator()(const Learner& learner, const Subject& subject,
                                const std::vector<int64_t>& students) const;
  /// How students of this network, by name, are trained on a subject.
  train::TrainOptions training(const Subject& subject, const std::string& network) const;
  /// Whose numbers the students draw.
  train::TrainSeed seed() const { return {static_cast<uint64_t>(options.seed), "eval.student", 0}; }

 private:
  double accuracy(const Predict& predict, const data::Split& split) const;
  std::vector<double> confusion(const Predict& predict) const;
  std::optional<Marks> teach(const Learner& learner, const Subject& subject, int64_t student) const;
  Marks test(const nets::Network& network, const train::ModelState& student) const;
  std::vector<train::ModelState> train_students(const nets::Network& network,
                                                const Subject& subject,
                                                const std::vector<int64_t>& students,
                                                Best& best) const;
};

/// The marks of all processes' students, in order.
std::vector<Marks> gathered(const ProcessGroup& group, const std::vector<Marks>& mine,
                            size_t classes);

/// Adds the marks of students, in their order, to a result. NaN where a class has no image.
void add_marks(const std::vector<Marks>& all, const data::Split& part, Result& result);

}  // namespace retort::eval
