// The structure of an evaluation, its arithmetic, and what it refuses.
#include "retort/eval/evaluate.h"

#include <gtest/gtest.h>

#include <sstream>

#include "retort/core/error.h"
#include "retort/core/random.h"
#include "retort/core/registry.h"
#include "retort/data/raw.h"
#include "support/support.h"

namespace retort::eval {
namespace {

const at::Device kCpu(at::kCPU);

const data::Dataset& shapes() {
  static const data::Dataset data = [] {
    data::DataOptions options;
    return data::prepare_dataset(data::make_shapes(0.02), options);
  }();
  return data;
}

/// The first training image of every class, as a bundle.
synthetic::Bundle first_images() {
  const data::Dataset& data = shapes();
  std::vector<int64_t> rows;
  for (const auto& members : data.train.members) rows.push_back(members.front());
  synthetic::Bundle bundle;
  bundle.images =
      data.preprocessing.apply(data.train.images.index_select(0, at::tensor(rows)), kCpu);
  bundle.labels = at::arange(data.classes(), at::kLong);
  bundle.class_names = data.class_names;
  bundle.preprocessing = data.preprocessing;
  bundle.method = "random";
  bundle.data_name = data.name;
  bundle.protocol = "demo";
  bundle.network = "convnet-w8";
  bundle.augmentation = "color_crop";
  return bundle;
}

EvalOptions quick() {
  EvalOptions options;
  options.students = 2;
  options.evaluation_epochs = 3;
  return options;
}

TEST(Protocols, HoldThePublishedSettings) {
  const Protocol& dm = protocols().front();
  EXPECT_EQ(dm.name, "dm");
  EXPECT_EQ(dm.training.epochs, 1000);
  EXPECT_EQ(dm.training.batch_size, 256);
  EXPECT_EQ(dm.training.learning_rate, 0.01);
  EXPECT_EQ(dm.training.momentum, 0.9);
  EXPECT_EQ(dm.training.weight_decay, 5e-4);
  EXPECT_EQ(dm.training.augmentation, "auto");
  const Protocol& dc = protocols()[1];
  EXPECT_EQ(dc.training.epochs, 300);
  EXPECT_EQ(dc.training.augmentation, "none");
}

TEST(Protocols, FrepoTakesItsStepsFromTheSize) {
  const Protocol& frepo = find_entry(std::span(protocols()), "protocol", "frepo");
  const std::map<int64_t, int64_t> published{{10, 1000},   {100, 2000},   {200, 20000},
                                             {500, 5000},  {1000, 10000}, {2000, 40000},
                                             {5000, 40000}};
  for (const auto& [images, steps] : published) EXPECT_EQ(frepo.steps(images), steps);
}

TEST(Evaluate, FrepoRegressesOnCentredLabelsWithoutBatchnorm) {
  synthetic::Bundle bundle = first_images();
  bundle.protocol = "frepo";
  bundle.network = "wideconv-w4-d2-bn";
  const Evaluation hard = evaluate(bundle, shapes(), quick(), kCpu, {});
  EXPECT_EQ(hard.results.at(0).network, "wideconv-w4-d2-nn");
  ASSERT_EQ(hard.results.size(), 2u);
  EXPECT_EQ(hard.results[1].subject, "random");
  bundle.soft_labels = losses::centred_one_hot(bundle.labels, shapes().classes());
  const Evaluation soft = evaluate(bundle, shapes(), quick(), kCpu, {});
  EXPECT_EQ(soft.results[0].accuracies, hard.results[0].accuracies);
}

TEST(Result, HasMeanAndPopulationDeviation) {
  Result result;
  result.accuracies = {0.2, 0.4, 0.9};
  EXPECT_NEAR(result.mean(), 0.5, 1e-12);
  EXPECT_NEAR(result.deviation(), std::sqrt((0.09 + 0.01 + 0.16) / 3), 1e-12);
  EXPECT_EQ(Result{}.mean(), 0);
  EXPECT_EQ(Result{}.deviation(), 0);
}

TEST(Evaluate, TrainsEverySubjectWithEveryNetwork) {
  EvalOptions options = quick();
  options.networks = {"convnet-w8", "mlp"};
  options.whole_set = true;
  options.whole_set_epochs = 1;
  std::ostringstream out;
  const Evaluation evaluation =
      evaluate(first_images(), shapes(), options, kCpu, {&out, false, 80});
  EXPECT_EQ(evaluation.protocol, "demo with 3 epochs");
  EXPECT_EQ(evaluation.part, "test");
  EXPECT_EQ(evaluation.students, 2);
  EXPECT_EQ(evaluation.training_images, 10);
  EXPECT_FALSE(evaluation.soft_labels);
  ASSERT_EQ(evaluation.results.size(), 6u);
  const std::vector<std::string> subjects = {"distilled", "random", "whole set"};
  for (size_t i = 0; i < 6; ++i) {
    const Result& result = evaluation.results[i];
    EXPECT_EQ(result.subject, subjects[i % 3]);
    EXPECT_EQ(result.epochs, i % 3 == 2 ? 1 : 3);
    ASSERT_EQ(result.accuracies.size(), 2u);
    for (const double accuracy : result.accuracies) {
      EXPECT_GE(accuracy, 0);
      EXPECT_LE(accuracy, 1);
    }
  }
  EXPECT_NE(evaluation.results[0].network, evaluation.results[3].network);
  EXPECT_NE(out.str().find("on whole set, 2 students"), std::string::npos);
}

TEST(Evaluate, GivesTheSameFiguresForTheSameSeed) {
  const Evaluation first = evaluate(first_images(), shapes(), quick(), kCpu, {});
  const Evaluation again = evaluate(first_images(), shapes(), quick(), kCpu, {});
  ASSERT_EQ(first.results.size(), 2u);
  for (size_t i = 0; i < 2; ++i)
    EXPECT_EQ(first.results[i].accuracies, again.results[i].accuracies);
}

TEST(Evaluate, UsesTheLearnedStudentRate) {
  synthetic::Bundle bundle = first_images();
  const Evaluation usual = evaluate(bundle, shapes(), quick(), kCpu, {});
  bundle.student_learning_rate = 1e-9;  // students stay as they start
  const Evaluation learned = evaluate(bundle, shapes(), quick(), kCpu, {});
  EXPECT_NE(usual.results[0].accuracies, learned.results[0].accuracies);
  EXPECT_EQ(usual.results[1].accuracies, learned.results[1].accuracies);
}

TEST(Evaluate, TrainsOnSoftLabelsWhereThereAreSome) {
  synthetic::Bundle bundle = first_images();
  bundle.soft_labels = at::one_hot(bundle.labels, 10).to(at::kFloat);
  EvalOptions options = quick();
  options.random_baseline = false;
  const Evaluation evaluation = evaluate(bundle, shapes(), options, kCpu, {});
  EXPECT_TRUE(evaluation.soft_labels);
  EXPECT_EQ(evaluation.results.size(), 1u);
}

TEST(Evaluate, RefusesABundleOfOtherClasses) {
  synthetic::Bundle bundle = first_images();
  bundle.class_names[3] = "zebra";
  tests::expect_error<StateError>([&] { evaluate(bundle, shapes(), quick(), kCpu, {}); },
                                  {"class 3 'zebra'", shapes().class_names[3], "shapes"});
  bundle.class_names.pop_back();
  tests::expect_error<StateError>([&] { evaluate(bundle, shapes(), quick(), kCpu, {}); },
                                  {"9 classes", "10 classes"});
}

TEST(Evaluate, RefusesABundleOfAnotherShape) {
  synthetic::Bundle bundle = first_images();
  bundle.images = bundle.images.narrow(3, 0, 16);
  tests::expect_error<StateError>([&] { evaluate(bundle, shapes(), quick(), kCpu, {}); },
                                  {"3x32x16", "3x32x32"});
}

TEST(Evaluate, RefusesAnEmptyPartAndUnknownNamesBeforeTraining) {
  EvalOptions options = quick();
  options.part = "validation";
  tests::expect_error<ConfigError>([&] { evaluate(first_images(), shapes(), options, kCpu, {}); },
                                   {"validation", "--validation-fraction"});
  options = quick();
  options.protocol = "shrot";
  tests::expect_error<ConfigError>([&] { evaluate(first_images(), shapes(), options, kCpu, {}); },
                                   {"shrot", "short"});
  options = quick();
  options.networks = {"convnet-w8", "convnat"};
  tests::expect_error<ConfigError>([&] { evaluate(first_images(), shapes(), options, kCpu, {}); },
                                   {"convnat", "convnet"});
}

TEST(Evaluate, ReturnsFinishedResultsAfterAStop) {
  StopFlag stop;
  stop.request();
  const Evaluation evaluation = evaluate(first_images(), shapes(), quick(), kCpu, {}, &stop);
  EXPECT_TRUE(evaluation.results.empty());
}

TEST(EvalOptions, AreDeclared) {
  EvalOptions options;
  OptionSet set;
  options.declare(set);
  Problems problems;
  set.set("students", "5", "--students", problems);
  set.set("networks", "convnet,mlp", "--networks", problems);
  set.set("protocol", "short", "--protocol", problems);
  EXPECT_TRUE(problems.empty());
  EXPECT_EQ(options.students, 5);
  EXPECT_EQ(options.networks.size(), 2u);
  set.set("students", "0", "--students", problems);
  set.set("protocol", "long", "--protocol", problems);
  set.set("part", "train", "--part", problems);
  EXPECT_EQ(problems.all().size(), 3u);
}

}  // namespace
}  // namespace retort::eval
