// Students on a bundle, on random real images of the same number, and on the whole set.
#include "retort/eval/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <numeric>

#include "eval/post_training.h"
#include "retort/augment/siamese.h"
#include "retort/core/error.h"
#include "retort/core/random.h"
#include "retort/core/registry.h"
#include "retort/data/batch_source.h"
#include "retort/train/in_order.h"

namespace retort::eval {
namespace {

/// A training set to judge.
struct Subject {
  std::string name;
  train::TrainOptions training;
  std::vector<std::unique_ptr<data::BatchSource>> sources;  ///< one for all students, or one each
  std::vector<int64_t> counts = {};     ///< images of each class; empty for the whole set
  std::vector<double> step_rates = {};  ///< not empty: trained in order
  std::vector<Taught> taught = {};      ///< of a post-training, one a source

  std::vector<train::Student> students(int64_t count) const {
    std::vector<train::Student> all;
    for (int64_t i = 0; i < count; ++i) {
      const size_t which = static_cast<size_t>(i) % sources.size();
      all.push_back({sources[which].get(), static_cast<uint64_t>(i)});
      if (!taught.empty()) all.back().lessons = taught[which].lessons.get();
    }
    return all;
  }
};

using Networks = std::vector<std::unique_ptr<nets::Network>>;

std::string shape_text(int64_t channels, int64_t height, int64_t width) {
  return fmt::format("images of {}x{}x{}", channels, height, width);
}

/// What differs between the bundle and the data, as (bundle's, data's); empty where they fit.
std::pair<std::string, std::string> misfit(const synthetic::Bundle& bundle,
                                           const data::Dataset& data) {
  if (bundle.classes() != data.classes())
    return {fmt::format("{} classes", bundle.classes()), fmt::format("{} classes", data.classes())};
  for (size_t c = 0; c < data.class_names.size(); ++c)
    if (bundle.class_names[c] != data.class_names[c])
      return {fmt::format("class {} '{}'", c, bundle.class_names[c]),
              fmt::format("class {} '{}'", c, data.class_names[c])};
  const std::string ours =
      shape_text(bundle.images.size(1), bundle.images.size(2), bundle.images.size(3));
  const std::string theirs = shape_text(data.channels, data.height, data.width);
  if (ours != theirs) return {ours, theirs};
  return {};
}

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
  if (protocol.without_batchnorm && place != std::string::npos) name.replace(place, 3, "-nn");
  return name;
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
    training.augmentation =
        bundle.augmentation.empty() ? augment::default_strategy(data.name) : bundle.augmentation;
  augment::parse_strategy(training.augmentation);  // refuses a damaged bundle before any work
  if (protocol.steps) {
    const int64_t images = bundle.images.size(0);
    const int64_t batches = (images + training.batch_size - 1) / training.batch_size;
    training.epochs = (protocol.steps(images) + batches - 1) / batches;
  }
  if (options.evaluation_epochs > 0) training.epochs = options.evaluation_epochs;
  return training;
}

/// As many images of each class as take the bytes of the set.
std::vector<int64_t> random_counts(const synthetic::Bundle& bundle, const data::Dataset& data) {
  std::vector<int64_t> counts = bundle.counts();
  if (bundle.compact.empty()) return counts;
  const int64_t each = std::lround(bundle.images_per_class_equivalents());
  for (size_t c = 0; c < counts.size(); ++c)
    counts[c] = std::clamp<int64_t>(each, 1, static_cast<int64_t>(data.train.members[c].size()));
  return counts;
}

/// Random training images of every class, fresh for every student. They are few: they are
/// preprocessed once.
std::unique_ptr<data::BatchSource> random_subset(const synthetic::Bundle& bundle,
                                                 const data::Dataset& data, uint64_t seed,
                                                 uint64_t student, at::Device device) {
  const std::vector<int64_t> counts = random_counts(bundle, data);
  std::vector<int64_t> rows;
  for (size_t c = 0; c < counts.size(); ++c) {
    const std::vector<int64_t>& members = data.train.members[c];
    Stream stream(seed, "eval.random", student, c);
    for (const int64_t i : stream.sample(static_cast<int64_t>(members.size()), counts[c]))
      rows.push_back(members[static_cast<size_t>(i)]);
  }
  std::vector<int64_t> all(rows.size());
  std::iota(all.begin(), all.end(), 0);
  const data::Batch batch =
      data::real_source(data.train, bundle.preprocessing, device, std::move(rows))->get(all);
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

int64_t steps_an_epoch(const Subject& subject) {
  const int64_t batch = subject.training.batch_size;
  return (subject.sources.front()->size() + batch - 1) / batch;
}

std::vector<Subject> make_subjects(const synthetic::Bundle& bundle, const data::Dataset& data,
                                   const EvalOptions& options, const train::TrainOptions& training,
                                   at::Device device) {
  std::vector<Subject> subjects;
  subjects.reserve(3);  // references stay good
  Subject& distilled = subjects.emplace_back(Subject{"distilled", training, {}});
  if (bundle.student_learning_rate)
    distilled.training.learning_rate = *bundle.student_learning_rate;
  distilled.sources.push_back(synthetic::bundle_source(bundle, device));
  distilled.counts = bundle.counts();
  if (options.random_baseline) {
    Subject& random = subjects.emplace_back(Subject{"random", training, {}});
    for (int64_t i = 0; i < options.students; ++i)
      random.sources.push_back(random_subset(bundle, data, static_cast<uint64_t>(options.seed),
                                             static_cast<uint64_t>(i), device));
    // Fewer images make fewer steps of an epoch: the same number of steps in all.
    const int64_t ours = steps_an_epoch(distilled), theirs = steps_an_epoch(random);
    random.training.epochs = (random.training.epochs * ours + theirs - 1) / theirs;
    random.counts = random_counts(bundle, data);
  }
  if (options.whole_set) {
    Subject& whole = subjects.emplace_back(Subject{"whole set", training, {}});
    whole.training.epochs = options.whole_set_epochs;
    whole.sources.push_back(data::real_source(data.train, bundle.preprocessing, device));
  }
  if (training.loss == losses::Kind::kSquared)
    for (Subject& subject : subjects)
      for (auto& source : subject.sources)
        source = std::make_unique<CentredSource>(std::move(source), data.classes());
  return subjects;
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
    subject.step_rates.assign(batches * static_cast<size_t>(subject.training.epochs),
                              subject.training.learning_rate);
  }
}

void teach(std::vector<Subject>& subjects, const Teaching& teaching) {
  if (!teaching.on()) return;
  for (Subject& subject : subjects) {
    subject.training.batch_size = teaching.views().batch_size;
    for (const auto& source : subject.sources)
      subject.taught.push_back(teaching.teach(*source, subject.name == "distilled"));
  }
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

/// What all groups of students have in common.
struct Judge {
  const synthetic::Bundle& bundle;
  const std::optional<PostTraining>& post;
  const data::Split& validation;
  const data::Split& part;
  const EvalOptions& options;
  at::Device device;
  ProgressStyle style;
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
    result.steps = subject.step_rates.empty()
                       ? train::passes(subject.training) * steps_an_epoch(subject)
                       : static_cast<int64_t>(subject.step_rates.size());
    count_bytes(bundle, subject, result);
    Best best(network, validation, bundle.preprocessing, device, options.students);
    const std::vector<train::Trained> students = train_students(network, subject, best);
    if (stopped()) return result;
    const auto test = [&](const train::Trained& student) {
      return train::accuracy(network, student, part, bundle.preprocessing, device);
    };
    for (const train::Trained& student : students) {
      result.accuracies.push_back(test(student));
      if (!student.average_theta.defined()) continue;
      train::Trained average;
      average.theta = student.average_theta;
      average.state = student.average_state;
      result.averaged.push_back(test(average));
    }
    if (!subject.taught.empty() && best.on())
      for (const train::Trained& student : best.kept()) result.best.push_back(test(student));
    result.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return result;
  }

  std::vector<train::Trained> train_students(const nets::Network& network, const Subject& subject,
                                             Best& best) const {
    const std::string label = fmt::format("{} on {}, {} student{}", network.name(), subject.name,
                                          options.students, options.students == 1 ? "" : "s");
    train::TrainOptions training = subject.training;
    if (post && post->learning_rate &&
        !(bundle.student_learning_rate && subject.name == "distilled"))
      training.learning_rate = post->learning_rate(network.name(), bundle);
    const bool ordered = !subject.step_rates.empty();
    const auto steps = static_cast<int64_t>(subject.step_rates.size());
    Progress progress(style, label,
                      options.students * (ordered ? steps : train::passes(subject.training)));
    int64_t done = 0;
    train::Watch watch;
    watch.stop = stop;
    watch.epoch = [&](const train::Epoch& epoch) {
      progress.update(++done, epoch.loss);
      if (!subject.taught.empty()) best.see(epoch);
    };
    train::TrainSeed seed{static_cast<uint64_t>(options.seed), "eval.student", 0};
    if (ordered) {
      std::vector<train::Trained> all;
      for (const train::Student& student : subject.students(options.students)) {
        seed.index = student.index;
        all.push_back(train::train_in_order(network, *student.source, subject.counts,
                                            subject.step_rates, seed, device, watch));
      }
      return all;
    }
    return train::train_many(network, subject.students(options.students), training, seed, device,
                             watch);
  }
};

}  // namespace

std::pair<double, double> spread(const std::vector<double>& values) {
  if (values.empty()) return {0, 0};
  const auto count = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return {mean, std::sqrt(sum / count)};
}

double Result::mean() const {
  return spread(accuracies).first;
}

double Result::deviation() const {
  return spread(accuracies).second;
}

void check_fit(const synthetic::Bundle& bundle, const data::Dataset& data) {
  const auto [ours, theirs] = misfit(bundle, data);
  if (ours.empty()) return;
  throw StateError(
      {"evaluating the bundle",
       fmt::format("the bundle (method {}, made from '{}') has {}; the data set '{}' has {}",
                   bundle.method, bundle.data_name, ours, data.name, theirs),
       "data with the bundle's classes, in its order, and its image shape",
       "give the data set, --classes and --resolution that the bundle was made with; an imported "
       "bundle takes its class names on import"});
}

Evaluation evaluate(const synthetic::Bundle& bundle, const data::Dataset& data,
                    const EvalOptions& options, at::Device device, ProgressStyle style,
                    const StopFlag* stop) {
  check_fit(bundle, data);
  const data::Split& part = part_of(data, options.part);
  std::string name = options.protocol.empty() ? bundle.protocol : options.protocol;
  if (name.empty()) name = protocols().front().name;
  const Protocol& protocol = find_entry<Protocol>(protocols(), "protocol", name);
  const Teaching teaching(protocol, bundle, data, options, device);
  train::TrainOptions training = training_of(protocol, bundle, data, options);
  if (teaching.on()) training.batch_size = teaching.views().batch_size;
  const Networks networks = make_networks(bundle, data, protocol, options.networks);
  std::vector<Subject> subjects = make_subjects(bundle, data, options, training, device);
  teach(subjects, teaching);
  if (protocol.ordered) put_in_order(subjects, bundle.step_learning_rates);

  Evaluation evaluation;
  evaluation.protocol = protocol.name;
  if (options.evaluation_epochs >
      0)  // a figure never stands under a protocol that it did not follow
    evaluation.protocol += fmt::format(" with {} epochs", options.evaluation_epochs);
  evaluation.part = options.part;
  evaluation.students = options.students;
  evaluation.training_images = bundle.images.size(0);
  evaluation.soft_labels = teaching.on() ? teaching.soft() : bundle.soft_labels.defined();
  const data::Split none;
  // What is tested on is not chosen by.
  const Judge judge{bundle, protocol.post, options.part == "test" ? data.validation : none,
                    part,   options,       device,
                    style,  stop};
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
