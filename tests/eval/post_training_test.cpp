// Post-training: what students are taught with, what is reported, and what is refused.
#include <gtest/gtest.h>

#include <sstream>

#include "retort/core/error.h"
#include "retort/core/random.h"
#include "retort/core/registry.h"
#include "retort/data/raw.h"
#include "retort/eval/relabel.h"
#include "support/support.h"

namespace retort::eval {
namespace {

const at::Device kCpu(at::kCPU);

/// Ten images of the built-in set, and an untrained teacher's file.
struct Setting {
  data::Dataset data;
  synthetic::Bundle bundle;
  tests::TempFolder folder;
  std::string teacher = (folder / "teacher").string(), labels = (folder / "labels").string();
  EvalOptions options;
  RelabelOptions relabelling;

  Setting() {
    data::DataOptions data_options;
    data_options.validation_fraction = 0.2;
    data = data::prepare_dataset(data::make_shapes(0.02), data_options);
    std::vector<int64_t> rows;
    for (const auto& members : data.train.members) rows.push_back(members.front());
    bundle.images =
        data.preprocessing.apply(data.train.images.index_select(0, at::tensor(rows)), kCpu);
    bundle.labels = at::arange(data.classes(), at::kLong);
    bundle.class_names = data.class_names;
    bundle.preprocessing = data.preprocessing;
    bundle.data_name = data.name;
    bundle.protocol = "frozen";
    bundle.network = "convnet-w8-bn";
    write_teacher(1);
    options.students = 2;
    options.evaluation_epochs = 5;
    options.random_baseline = false;
    relabelling.evaluation_epochs = 5;
    relabelling.precision = "float32";
  }
  void write_teacher(uint64_t seed) const {
    train::Teacher made;
    made.network = "convnet-w8-bn";
    made.shape = {data.channels, data.height, data.width, data.classes()};
    const auto network = made.build();
    made.theta = network->initial(Stream(seed, "test.teacher"));
    made.state = network->initial_state();
    made.preprocessing = data.preprocessing;
    made.class_names = data.class_names;
    train::write_teacher(teacher, made);
  }
  void relabel() const {
    const auto ready = train::open_teacher(teacher, "test", data, kCpu);
    const train::LabelPlan plan = plan_labels(bundle, relabelling, ready);
    const auto source = data::tensor_source(bundle.images, bundle.labels);
    const train::Views views(*source, plan.views, plan.seed);
    ASSERT_TRUE(train::write_labels(labels, plan, views, ready, {}, nullptr));
  }
  Evaluation evaluate() const { return eval::evaluate(bundle, data, options, kCpu, {}); }
};

TEST(PostTraining, StoredLabelsGiveWhatLiveOnesGive) {
  Setting setting;
  setting.relabel();
  setting.options.student_labels = setting.labels;
  const Evaluation stored = setting.evaluate();
  setting.options.student_labels = "live";
  setting.options.teacher = setting.teacher;
  const Evaluation live = setting.evaluate();
  EXPECT_EQ(stored.results[0].accuracies, live.results[0].accuracies);
  EXPECT_EQ(stored.results[0].averaged, live.results[0].averaged);
  EXPECT_EQ(stored.results[0].best, live.results[0].best);
  EXPECT_EQ(stored.results[0].labels, "stored");
  EXPECT_EQ(live.results[0].labels, "live");
  EXPECT_TRUE(stored.soft_labels);
}

TEST(PostTraining, ReportsLastAverageAndBestApart) {
  Setting setting;
  const Evaluation evaluation = setting.evaluate();
  const Result& result = evaluation.results.at(0);
  EXPECT_EQ(result.accuracies.size(), 2u);
  EXPECT_EQ(result.averaged.size(), 2u);
  EXPECT_EQ(result.best.size(), 2u);
  EXPECT_EQ(result.labels, "hard");
  EXPECT_FALSE(evaluation.soft_labels);
  setting.options.part = "validation";  // what is tested on does not choose
  EXPECT_TRUE(setting.evaluate().results.at(0).best.empty());
}

TEST(PostTraining, CountsTheBytesOfLabels) {
  Setting setting;
  setting.relabel();
  setting.options.student_labels = setting.labels;
  const Result stored = setting.evaluate().results.at(0);
  EXPECT_EQ(stored.image_bytes, static_cast<int64_t>(setting.bundle.images.nbytes()));
  EXPECT_EQ(stored.label_bytes, static_cast<int64_t>(std::filesystem::file_size(setting.labels)));
  setting.options.student_labels = "live";
  setting.options.teacher = setting.teacher;
  const Result live = setting.evaluate().results.at(0);
  EXPECT_EQ(live.label_bytes, 0);
  EXPECT_GT(live.teacher_bytes, 0);
}

TEST(PostTraining, RefusesLabelsOfAnotherSetProtocolOrTeacher) {
  Setting setting;
  setting.relabel();
  setting.options.student_labels = setting.labels;
  setting.options.protocol = "rded";
  tests::expect_error<StateError>([&] { setting.evaluate(); }, {"crops from", "--protocol"});
  setting.options.protocol = "dm";
  tests::expect_error<ConfigError>([&] { setting.evaluate(); },
                                   {"'dm'", "--student-labels", "rded"});
  setting.options.protocol = "frozen";
  setting.options.random_baseline = true;
  tests::expect_error<ConfigError>([&] { setting.evaluate(); },
                                   {"no stored labels", "--random-baseline=no"});
  setting.write_teacher(2);
  setting.options.teacher = setting.teacher;
  tests::expect_error<StateError>([&] { setting.evaluate(); }, {"another teacher's", "relabel"});
  setting.bundle.images = setting.bundle.images + 1;
  tests::expect_error<StateError>([&] { setting.evaluate(); }, {"another set", "relabel"});
}

TEST(PostTraining, LiveLabelsNeedATeacher) {
  Setting setting;
  setting.options.student_labels = "live";
  tests::expect_error<ConfigError>([&] { setting.evaluate(); }, {"no teacher", "--teacher"});
}

TEST(Relabel, NeedsAPostTraining) {
  Setting setting;
  setting.relabelling.protocol = "dm";
  tests::expect_error<ConfigError>([&] { setting.relabel(); }, {"'dm'", "post-training"});
}

TEST(Protocols, OfPostTrainingHoldThePublishedSettings) {
  Setting setting;
  const auto& rded = find_entry<Protocol>(protocols(), "protocol", "rded");
  EXPECT_EQ(rded.training.schedule, "slow_cosine");
  EXPECT_EQ(rded.post->temperature, 20);
  EXPECT_EQ(views_of(rded, setting.bundle).batch_size, 10);  // one image per class
  const auto& cifar = find_entry<Protocol>(protocols(), "protocol", "sre2l-cifar");
  EXPECT_EQ(views_of(cifar, setting.bundle).margin, 4);
  EXPECT_EQ(cifar.training.epochs, 400);
}

}  // namespace
}  // namespace retort::eval
