// The training sets of an evaluation: the set that is judged, random real images beside it, and the
// whole training part.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "eval/post_training.h"
#include "retort/data/batch_source.h"
#include "retort/eval/evaluate.h"

namespace retort::eval {

/// A training set to judge.
struct Subject {
  std::string name;
  train::TrainOptions training;
  std::vector<std::unique_ptr<data::BatchSource>> sources;  ///< one for all students, or one each
  std::vector<int64_t> counts = {};        ///< images of each class; empty for the whole set
  std::vector<double> step_rates = {};     ///< not empty: trained in order
  std::vector<LabelledViews> taught = {};  ///< of a post-training, one a source

  /// Those of these numbers.
  std::vector<train::Student> students(const std::vector<int64_t>& numbers) const;
  int64_t steps_an_epoch() const;
  /// Steps of one student.
  int64_t steps() const;
};

/// The set as it is for a student: another choice of its images by its method.
using Redraw = std::function<synthetic::Bundle(int64_t student)>;

/// The choices for the students of a set that chance had a part in choosing, as far as the options
/// ask for them; else empty. What it is given must outlive it.
Redraw redraw_of(const synthetic::Bundle& bundle, const data::Dataset& data,
                 const EvalOptions& options, at::Device device, const ProgressStyle& style);

/// As many real images of each class as take the bytes of the set.
std::vector<int64_t> random_counts(const synthetic::Bundle& bundle, const data::Dataset& data);

/// What the subjects of an evaluation are made from.
struct SubjectInput {
  const synthetic::Bundle& bundle;
  const data::Dataset& data;
  const EvalOptions& options;
  const Protocol& protocol;
  const train::TrainOptions& training;
  const LabelSource& teaching;
  const Redraw& redraw;
  at::Device device;
};

/// "distilled", and as the options ask "random" and "whole set".
std::vector<Subject> make_subjects(const SubjectInput& input);

}  // namespace retort::eval
