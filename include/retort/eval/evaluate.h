// Judging a set: fresh students trained on it, tested once, beside random real images that take the
// same bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "retort/core/options.h"
#include "retort/core/process_group.h"
#include "retort/core/progress.h"
#include "retort/core/records.h"
#include "retort/core/stop.h"
#include "retort/data/dataset.h"
#include "retort/eval/learner.h"
#include "retort/synthetic/bundle.h"
#include "retort/train/trainer.h"
#include "retort/train/views.h"

namespace retort::eval {

/// Training on mixed views with a teacher's labels of them (SRe2L's post-training), or with the
/// mixed classes.
struct PostTraining {
  train::ViewOptions views;  ///< its batches are those of the training
  double temperature = 20;
  bool temperature_squared = false;
  bool batch_statistics = false;  ///< the teacher's BatchNorm takes those of the batch
  bool mosaics = false;  ///< patches of the set's mosaics are shuffled, crops are of 1 / mosaic on
  int64_t (*batch_size)(const synthetic::Bundle& set) = nullptr;  ///< null: the training's
  /// The rate of a student; null: the training's.
  double (*learning_rate)(const std::string& student, const synthetic::Bundle& set) = nullptr;
};

/// A named way of training students.
struct Protocol {
  std::string name;
  std::string summary;
  train::TrainOptions training;  ///< augmentation "auto": the bundle's own; loss kSquared: classes
                                 ///< become centred one-hot targets
  /// The steps of a student by the number of images, rounded up to epochs; null: training.epochs.
  int64_t (*steps)(int64_t images) = nullptr;
  /// The bundle's network is trained without its BatchNorm.
  bool without_batchnorm = false;
  /// Minibatches come in order, one image of each class in turn, at the bundle's rates of steps
  /// (else `training`'s), without augmentation.
  bool ordered = false;
  std::optional<PostTraining> post = {};
};
/// How the batches of a protocol's post-training on this set look.
train::ViewOptions views_of(const Protocol& protocol, const synthetic::Bundle& bundle);
const std::vector<Protocol>& protocols();

/// One group of students of one network on one training set.
struct Result {
  std::string subject;  ///< "distilled", "random", "whole set"
  std::string network;
  std::vector<double> accuracies;  ///< fractions, in student order
  double mean() const;
  double deviation() const;  ///< population standard deviation
  /// The fraction of the images of each class that is classified rightly, mean over students. NaN
  /// where a class has no image in the part.
  std::vector<double> class_accuracies;
  double balanced() const;  ///< mean of those, where there are images
  /// [K, K], over all students: images of a class (row), by the class they are taken for (column).
  std::vector<int64_t> confusion;
  std::vector<double> averaged;  ///< those of moving averages, where the protocol has them
  std::vector<double> best;      ///< those of the epochs best on the validation part, if any
  /// Different training sets among the students: chance in the choice of images is in the
  /// deviation where there is one for each.
  int64_t draws = 1;
  std::string labels = "hard";  ///< hard | soft | live | stored
  int64_t image_bytes = 0;
  int64_t label_bytes = 0;    ///< live labels take none, but the teacher has to be there
  int64_t teacher_bytes = 0;  ///< live
  double seconds = 0;
  int64_t epochs = 0;  ///< the protocol's, or what replaced them
  int64_t images = 0;  ///< trained on
  int64_t steps = 0;   ///< by the optimizer
};

struct EvalOptions {
  std::vector<std::string> networks;  ///< empty: the bundle's own, where there is no learner
  int64_t students = 3;
  std::string protocol;           ///< empty: the bundle's own
  int64_t evaluation_epochs = 0;  ///< 0: the protocol's
  bool random_baseline = true;
  bool whole_set = false;
  int64_t whole_set_epochs = 30;  ///< a whole set has learned all it can long before a tiny one
  std::string part = "test";      ///< test | validation
  int64_t seed = 0;
  std::string student_labels = "auto";  ///< where a teacher labels: auto | hard | live | a file
  std::string teacher;                  ///< its file; auto with a teacher: live
  bool redraw = true;                   ///< a set that chance chose: chosen anew for every student
  std::vector<Learner> learners = {};   ///< students of other kinds, judged after those networks
  void declare(OptionSet& options);
};

/// All that an evaluation found.
struct Evaluation {
  std::string protocol, part;
  bool shortened = false;  ///< its epochs are not those of the protocol
  std::string data, data_hash;
  std::vector<std::string> class_names;
  std::vector<int64_t> class_images;  ///< how many each class has in the part
  int64_t students = 0;
  int64_t training_images = 0;
  int64_t test_images = 0;  ///< how many the part has
  int64_t seed = 0;
  bool soft_labels = false;
  std::vector<std::string> notes;  ///< what a reader of the figures has to know
  std::vector<Result> results;
};

/// StateError where the bundle and the data do not fit: classes, their order, image shape.
void check_fit(const synthetic::Bundle& bundle, const data::Dataset& data,
               const std::string& doing = "evaluating the bundle");

/// Trains and tests. Student i of a network has the same initial parameters for every subject, so
/// subjects are compared on equal starts. Random subsets differ between students and have the
/// bundle's number of images of each class; where it decodes more images than its bytes would hold
/// as pixels, as many as those bytes hold, and as many steps in all. Real images go through the
/// bundle's preprocessing. A learned student rate of the bundle replaces the protocol's for the
/// distilled set alone; a bundle that names no augmentation gets the data set's published default.
/// Where chance had a part in the choice of a set's images (random, herding, k-center, forgetting
/// on this data) and `options.redraw` is on, every student but the first, who has the bundle's own,
/// has a choice of its own by the same method.
/// StateError where the bundle and the data do not fit (classes, shape); ConfigError on unknown
/// names and an empty part, before anything is trained. After a stop only finished results are
/// returned. The processes of a `group` that make the same call share the students, and all return
/// the same; of their times the first's is told.
Evaluation evaluate(const synthetic::Bundle& bundle, const data::Dataset& data,
                    const EvalOptions& options = {}, at::Device device = at::kCPU,
                    ProgressStyle style = {}, const StopFlag* stop = nullptr,
                    const ProcessGroup& group = ProcessGroup::alone());

/// An evaluation as a record of kind "evaluation", with the date: what a run's records and --json
/// hold of it.
Json to_json(const Evaluation& evaluation);
/// Passes of a student over its images, which may be more than its epochs: the published code of
/// some protocols counts these from 0.
int64_t passes_of(const Evaluation& evaluation, const Result& result);

/// Judges a set by one student on the validation part of `data`, which must outlive it: what a run
/// is told to call now and then. The answer goes into the run's records.
std::function<Json(const synthetic::Bundle&)> validator(const data::Dataset& data, int64_t seed,
                                                        at::Device device);

}  // namespace retort::eval
