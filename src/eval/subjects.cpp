#include "eval/subjects.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ostream>

#include "core/sizes.h"
#include "methods/redraw.h"
#include "retort/core/random.h"
#include "retort/data/class_sampler.h"
#include "train/sequential_training.h"

namespace retort::eval {
namespace {

/// Random training images of every class, fresh for every student. They are few: they are
/// preprocessed once.
std::unique_ptr<data::BatchSource> random_subset(const synthetic::Bundle& bundle,
                                                 const data::Dataset& data, uint64_t seed,
                                                 uint64_t student, at::Device device) {
  const std::vector<int64_t> counts = random_counts(bundle, data);
  std::vector<int64_t> rows;
  for (size_t c = 0; c < counts.size(); ++c) {
    RandomStream stream(seed, "eval.random", student, c);
    const std::vector<int64_t> drawn =
        data::draw_rows(data.train, stream, static_cast<int64_t>(c), counts[c]);
    rows.insert(rows.end(), drawn.begin(), drawn.end());
  }
  const data::Batch batch = data::real_source(data.train, bundle.preprocessing, device)->get(rows);
  return data::tensor_source(batch.images, batch.targets);
}

/// A source whose classes become the targets of a regression; soft labels stay.
class CentredSource : public data::BatchSource {
 public:
  CentredSource(std::unique_ptr<data::BatchSource> source, int64_t classes)
      : source_(std::move(source)), classes_(classes) {}
  int64_t size() const override { return source_->size(); }
  data::Batch get(const std::vector<int64_t>& indices) const override {
    data::Batch batch = source_->get(indices);
    if (!batch.targets.is_floating_point())
      batch.targets = losses::centred_one_hot(batch.targets, classes_);
    return batch;
  }

 private:
  std::unique_ptr<data::BatchSource> source_;
  int64_t classes_;
};

/// The set itself, for one student or for all.
std::unique_ptr<data::BatchSource> distilled_source(const SubjectInput& input, int64_t student) {
  return synthetic::bundle_source(student == 0 ? input.bundle : input.redraw(student),
                                  input.device);
}

Subject distilled_subject(const SubjectInput& input) {
  Subject distilled{"distilled", input.training, {}};
  if (input.bundle.student_learning_rate)
    distilled.training.learning_rate = *input.bundle.student_learning_rate;
  const int64_t draws = input.redraw ? input.options.students : 1;
  for (int64_t i = 0; i < draws; ++i) distilled.sources.push_back(distilled_source(input, i));
  distilled.counts = input.bundle.counts();
  return distilled;
}

/// Fewer images make fewer steps of an epoch: the same number of steps in all as `distilled` has.
Subject random_subject(const SubjectInput& input, const Subject& distilled) {
  Subject random{"random", input.training, {}};
  for (int64_t i = 0; i < input.options.students; ++i)
    random.sources.push_back(random_subset(input.bundle, input.data,
                                           static_cast<uint64_t>(input.options.seed),
                                           static_cast<uint64_t>(i), input.device));
  const int64_t ours = distilled.steps_an_epoch(), theirs = random.steps_an_epoch();
  random.training.epochs = (random.training.epochs * ours + theirs - 1) / theirs;
  random.counts = random_counts(input.bundle, input.data);
  return random;
}

/// Makes the subjects trained in order: at the rates of the set, else at those of the protocol.
void put_in_order(std::vector<Subject>& subjects, const at::Tensor& rates) {
  for (Subject& subject : subjects) {
    if (subject.counts.empty()) continue;  // the whole set has no such order
    if (rates.defined()) {
      subject.step_rates.assign(rates.data_ptr<double>(), rates.data_ptr<double>() + rates.numel());
      continue;
    }
    const size_t batches = train::ordered_batches(subject.counts).size();
    subject.step_rates.assign(batches * to_size(subject.training.epochs),
                              subject.training.learning_rate);
  }
}

void teach(std::vector<Subject>& subjects, const LabelSource& teaching) {
  if (!teaching.on()) return;
  for (Subject& subject : subjects) {
    subject.training.batch_size = teaching.views().batch_size;
    for (const auto& source : subject.sources)
      subject.taught.push_back(teaching.teach(*source, subject.name == "distilled"));
  }
}

}  // namespace

std::vector<int64_t> random_counts(const synthetic::Bundle& bundle, const data::Dataset& data) {
  std::vector<int64_t> counts = bundle.counts();
  const int64_t each = std::lround(bundle.images_per_class_equivalents());
  for (size_t c = 0; c < counts.size(); ++c) {
    const auto most = std::ssize(data.train.rows_by_class[c]);
    // A class may have more images in the set than there are real ones.
    counts[c] =
        bundle.compact.empty() ? std::min(counts[c], most) : std::clamp<int64_t>(each, 1, most);
  }
  return counts;
}

Redraw redraw_of(const synthetic::Bundle& bundle, const data::Dataset& data,
                 const EvalOptions& options, at::Device device, const ProgressStyle& style) {
  if (!options.redraw || !methods::can_choose_again(bundle, data)) return {};
  return [&bundle, &data, &options, device, style](int64_t student) {
    if (style.out)
      *style.out << fmt::format("choosing images by '{}' for student {} of {}\n", bundle.method,
                                student + 1, options.students);
    constexpr uint64_t kSeedApart = 1'000'003;  // a seed of an evaluation gives other choices
    synthetic::Bundle other = bundle;
    other.images = methods::choose_again(bundle, data,
                                         static_cast<uint64_t>(bundle.seed) +
                                             kSeedApart * static_cast<uint64_t>(options.seed) +
                                             static_cast<uint64_t>(student),
                                         device, style);
    return other;
  };
}

std::vector<train::Student> Subject::students(const std::vector<int64_t>& numbers) const {
  std::vector<train::Student> all;
  for (const int64_t i : numbers) {
    const size_t which = to_size(i) % sources.size();
    all.push_back({sources[which].get(), static_cast<uint64_t>(i)});
    if (!taught.empty()) all.back().batch_stream = taught[which].batch_stream.get();
  }
  return all;
}

int64_t Subject::steps_an_epoch() const {
  return (sources.front()->size() + training.batch_size - 1) / training.batch_size;
}

int64_t Subject::steps() const {
  return step_rates.empty() ? train::passes(training) * steps_an_epoch() : std::ssize(step_rates);
}

std::vector<Subject> make_subjects(const SubjectInput& input) {
  std::vector<Subject> subjects;
  subjects.push_back(distilled_subject(input));
  if (input.options.random_baseline) subjects.push_back(random_subject(input, subjects.front()));
  if (input.options.whole_set) {
    Subject& whole = subjects.emplace_back(Subject{"whole set", input.training, {}});
    whole.training.epochs = input.options.whole_set_epochs;
    whole.sources.push_back(
        data::real_source(input.data.train, input.bundle.preprocessing, input.device));
  }
  if (input.training.loss == losses::Kind::kSquared)
    for (Subject& subject : subjects)
      for (auto& source : subject.sources)
        source = std::make_unique<CentredSource>(std::move(source), input.data.classes());
  teach(subjects, input.teaching);
  if (input.protocol.ordered) put_in_order(subjects, input.bundle.step_learning_rates);
  return subjects;
}

}  // namespace retort::eval
