// The structure of an evaluation, its arithmetic, and what it refuses.
#include "retort/eval/evaluate.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "core/registry.h"
#include "eval/first_images.h"
#include "retort/core/error.h"
#include "retort/core/random.h"
#include "retort/data/raw.h"
#include "support/device.h"
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
  synthetic::Bundle bundle = tests::first_images(shapes());
  bundle.method = "random";
  bundle.network = "convnet-w8";
  bundle.augmentation = "color_crop";
  return bundle;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string notes_of(const Evaluation& evaluation) {
  std::string all;
  for (const std::string& note : evaluation.notes) all += note + "\n";
  return all;
}

EvalOptions quick() {
  EvalOptions options;
  options.students = 2;
  options.evaluation_epochs = 3;
  return options;
}

TEST(Evaluate, FrepoRegressesOnCentredLabelsWithoutBatchnorm) {
  synthetic::Bundle bundle = first_images();
  bundle.protocol = "frepo";
  bundle.network = "wideconv-w4-d2-bn";
  const Evaluation hard = evaluate(bundle, shapes(), quick(), tests::device(), {});
  EXPECT_EQ(hard.results.at(0).network, "wideconv-w4-d2-nonorm");
  ASSERT_EQ(hard.results.size(), 2u);
  EXPECT_EQ(hard.results[1].subject, "random");
  bundle.soft_labels = losses::centred_one_hot(bundle.labels, shapes().classes());
  const Evaluation soft = evaluate(bundle, shapes(), quick(), tests::device(), {});
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
      evaluate(first_images(), shapes(), options, tests::device(), {&out, false, 80});
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
  EXPECT_TRUE(has(out.str(), "1 of 6: ")) << out.str();
  EXPECT_TRUE(has(out.str(), "6 of 6: ")) << out.str();
  EXPECT_TRUE(has(out.str(), "on whole set, 2 students")) << out.str();
  // Steps of all students: two networks, two students, four epochs of one batch on two sets, and
  // two epochs of the whole set.
  const int64_t whole = (shapes().train.size() + 255) / 256;
  const int64_t steps = 2 * 2 * (4 + 4 + 2 * whole);
  EXPECT_TRUE(has(out.str(), fmt::format("evaluation, all steps  {0}/{0}", steps))) << out.str();
}

TEST(Evaluate, GivesTheSameFiguresForTheSameSeed) {
  const Evaluation first = evaluate(first_images(), shapes(), quick(), tests::device(), {});
  const Evaluation again = evaluate(first_images(), shapes(), quick(), tests::device(), {});
  ASSERT_EQ(first.results.size(), 2u);
  for (size_t i = 0; i < 2; ++i)
    EXPECT_EQ(first.results[i].accuracies, again.results[i].accuracies);
}

/// Accuracies of students that are trained on a source as evaluate() trains them.
std::vector<double> trained_by_hand(const synthetic::Bundle& bundle,
                                    const data::BatchSource& source) {
  const auto network = nets::make_network(bundle.network, {3, 32, 32, 10});
  train::TrainOptions options;  // SGD 0.01, momentum 0.9, decay 5e-4: protocol demo
  options.epochs = 3;
  options.augmentation = bundle.augmentation;
  std::vector<double> accuracies;
  for (uint64_t i = 0; i < 2; ++i)
    accuracies.push_back(train::accuracy(
        *network, train::train(*network, source, options, {0, "eval.student", i}, kCpu),
        shapes().test, bundle.preprocessing, kCpu));
  return accuracies;
}

TEST(Evaluate, UsesTheLearnedStudentRateForTheSetAlone) {
  synthetic::Bundle bundle = first_images();
  const Evaluation usual = evaluate(bundle, shapes(), quick(), tests::device(), {});
  bundle.student_learning_rate = 0;  // students stay as they start, whatever they see
  const Evaluation learned = evaluate(bundle, shapes(), quick(), tests::device(), {});
  const auto network = nets::make_network(bundle.network, {3, 32, 32, 10});
  for (uint64_t i = 0; i < 2; ++i) {
    train::ModelState start;
    start.theta = network->initial(RandomStream(0, "eval.student.initial", i));
    EXPECT_EQ(learned.results[0].accuracies.at(i),
              train::accuracy(*network, start, shapes().test, bundle.preprocessing, kCpu));
  }
  EXPECT_NE(usual.results[0].accuracies, learned.results[0].accuracies);
  EXPECT_EQ(usual.results[1].accuracies, learned.results[1].accuracies);
}

TEST(Evaluate, TrainsOnSoftLabelsWhereThereAreSome) {
  synthetic::Bundle bundle = first_images();
  bundle.soft_labels = at::one_hot(bundle.labels.add(1).remainder(10), 10).to(at::kFloat);
  EvalOptions options = quick();
  options.random_baseline = false;
  const Evaluation soft = evaluate(bundle, shapes(), options, tests::device(), {});
  ASSERT_EQ(soft.results.size(), 1u);
  EXPECT_TRUE(soft.soft_labels);
  EXPECT_EQ(soft.results[0].accuracies,
            trained_by_hand(bundle, *data::tensor_source(bundle.images, bundle.soft_labels)));
  bundle.soft_labels = at::Tensor();
  const Evaluation hard = evaluate(bundle, shapes(), options, tests::device(), {});
  EXPECT_FALSE(hard.soft_labels);
  EXPECT_EQ(hard.results[0].accuracies,
            trained_by_hand(bundle, *data::tensor_source(bundle.images, bundle.labels)));
}

TEST(Evaluate, TakesInstanceNormForBatchNormWhereThePublishedFiguresDo) {
  synthetic::Bundle bundle = first_images();
  bundle.network = "convnet-w4-d2-bn";
  EvalOptions options = quick();
  options.students = 1;
  options.random_baseline = false;
  for (const auto& [method, network] :
       std::map<std::string, std::string>{{"dc", "convnet-w4-d2-in"},
                                          {"dsa", "convnet-w4-d2-in"},
                                          {"mtt", "convnet-w4-d2-in"},
                                          {"dm", "convnet-w4-d2-bn"}}) {
    bundle.method = method;
    const Evaluation found = evaluate(bundle, shapes(), options, tests::device(), {});
    EXPECT_EQ(found.results.at(0).network, nets::make_network(network, {3, 32, 32, 10})->name());
    EXPECT_EQ(has(notes_of(found), "without its BatchNorm"), method != "dm");
  }
}

TEST(Evaluate, NotesHardLabelsAndFlatImages) {
  synthetic::Bundle bundle = first_images();
  EvalOptions options = quick();
  options.random_baseline = false;
  EXPECT_FALSE(has(notes_of(evaluate(bundle, shapes(), options, tests::device(), {})), "flat"));
  bundle.protocol = "rded";
  bundle.method = "rded";
  bundle.images = bundle.images * 0.01;
  options.protocol = "demo";
  const std::string notes = notes_of(evaluate(bundle, shapes(), options, tests::device(), {}));
  EXPECT_TRUE(has(notes, "hard labels: sets of rded")) << notes;
  EXPECT_TRUE(has(notes, "--teacher")) << notes;
  EXPECT_TRUE(has(notes, "nearly flat")) << notes;
}

TEST(Evaluate, GivesAdviceThatFitsAStudentThatRunsAway) {
  EvalOptions options = quick();
  options.random_baseline = false;
  synthetic::Bundle bundle = first_images();
  bundle.student_learning_rate = 1e30;
  tests::expect_error<StateError>([&] { evaluate(bundle, shapes(), options, tests::device(), {}); },
                                  {"the mean loss is", "own learned rate, 1e+30", "convnet-w8"});
  bundle.images = bundle.images * 1e20;
  tests::expect_error<StateError>([&] { evaluate(bundle, shapes(), options, tests::device(), {}); },
                                  {"values of the set's images reach"});
}

TEST(Evaluate, RefusesABundleOfOtherClasses) {
  synthetic::Bundle bundle = first_images();
  bundle.class_names[3] = "zebra";
  tests::expect_error<StateError>([&] { evaluate(bundle, shapes(), quick(), tests::device(), {}); },
                                  {"class 3 'zebra'", shapes().class_names[3], "shapes"});
  bundle.class_names.pop_back();
  tests::expect_error<StateError>([&] { evaluate(bundle, shapes(), quick(), tests::device(), {}); },
                                  {"9 classes", "10 classes"});
}

TEST(Evaluate, RefusesABundleOfAnotherShape) {
  synthetic::Bundle bundle = first_images();
  bundle.images = bundle.images.narrow(3, 0, 16);
  tests::expect_error<StateError>([&] { evaluate(bundle, shapes(), quick(), tests::device(), {}); },
                                  {"3x32x16", "3x32x32"});
}

TEST(Evaluate, RefusesAnEmptyPartAndUnknownNamesBeforeTraining) {
  EvalOptions options = quick();
  options.part = "validation";
  tests::expect_error<ConfigError>(
      [&] { evaluate(first_images(), shapes(), options, tests::device(), {}); },
      {"validation", "--validation-fraction"});
  options = quick();
  options.protocol = "shrot";
  tests::expect_error<ConfigError>(
      [&] { evaluate(first_images(), shapes(), options, tests::device(), {}); },
      {"shrot", "short"});
  options = quick();
  options.networks = {"convnet-w8", "convnat"};
  tests::expect_error<ConfigError>(
      [&] { evaluate(first_images(), shapes(), options, tests::device(), {}); },
      {"convnat", "convnet"});
}

TEST(Evaluate, ReturnsFinishedResultsAfterAStop) {
  StopFlag stop;
  stop.request();
  const Evaluation evaluation =
      evaluate(first_images(), shapes(), quick(), tests::device(), {}, &stop);
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
