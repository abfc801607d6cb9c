// Students that are no Network of ours: one that trains a network by its lessons ends as ours does.
#include "retort/eval/learner.h"

#include <gtest/gtest.h>

#include <limits>

#include "eval/first_images.h"
#include "optim/optimizer.h"
#include "retort/core/error.h"
#include "retort/data/raw.h"
#include "retort/eval/evaluate.h"
#include "train/loop.h"

namespace retort::eval {
namespace {

constexpr const char* kNetwork = "convnet-w8-d2";

const data::Dataset& shapes() {
  static const data::Dataset data = data::prepare_dataset(data::make_shapes(0.02), {});
  return data;
}

synthetic::Bundle set() {
  synthetic::Bundle bundle = tests::first_images(shapes());
  bundle.method = "imported";
  bundle.network = kNetwork;
  bundle.augmentation = "color_crop_flip_scale_rotate";
  return bundle;
}

/// Trains our network step by step, as a module's loop does.
Learned train_by(const nets::Network& network, const Lesson& lesson) {
  const train::TrainSeed seed{0, "eval.student", static_cast<uint64_t>(lesson.student)};
  train::ModelState model;
  model.theta = train::initial_start(network, seed).theta;
  const auto optimizer = optim::make_optimizer({.name = lesson.training.optimizer,
                                                .momentum = lesson.training.momentum,
                                                .weight_decay = lesson.training.weight_decay},
                                               model.theta);
  train::Trainer trainer(network, model, *optimizer);
  const Predict now = [&](const at::Tensor& images) {
    return network.predict(model.theta, model.state, images);
  };
  for (int64_t epoch = 0; epoch < lesson.epochs; ++epoch) {
    if (lesson.resets(epoch)) optimizer->reset();
    double sum = 0, rows = 0;
    for (int64_t i = 0; i < lesson.batches; ++i) {
      const train::LabelledBatch batch = lesson.batch(epoch, i);
      const auto count = static_cast<double>(batch.images.size(0));
      sum += trainer.step(batch, lesson.rate(epoch, i)).loss.item<double>() * count;
      rows += count;
    }
    if (!lesson.done(epoch, sum / rows, now)) break;
  }
  return {[&network, theta = model.theta](const at::Tensor& images) {
    return network.predict(theta, {}, images);
  }};
}

EvalOptions quick(const std::string& protocol) {
  EvalOptions options;
  options.students = 2;
  options.evaluation_epochs = 5;
  options.protocol = protocol;
  return options;
}

class LearnerOf : public testing::TestWithParam<const char*> {};

TEST_P(LearnerOf, EndsAsAStudentOfOursDoes) {
  const auto network = nets::make_network(
      kNetwork, {shapes().channels, shapes().height, shapes().width, shapes().classes()});
  EvalOptions options = quick(GetParam());
  options.networks = {kNetwork};
  options.learners = {{"twin", [&](const Lesson& lesson) { return train_by(*network, lesson); }}};
  const Evaluation found = evaluate(set(), shapes(), options);
  ASSERT_EQ(found.results.size(), 4u);
  for (size_t i = 0; i < 2; ++i) {
    const Result &ours = found.results[i], &theirs = found.results[i + 2];
    EXPECT_EQ(theirs.network, "twin");
    EXPECT_EQ(theirs.subject, ours.subject);
    EXPECT_EQ(theirs.accuracies, ours.accuracies);
    EXPECT_EQ(theirs.class_accuracies, ours.class_accuracies);
    EXPECT_EQ(theirs.steps, ours.steps);
    EXPECT_EQ(theirs.image_bytes, ours.image_bytes);
  }
}
INSTANTIATE_TEST_SUITE_P(Protocols, LearnerOf, testing::Values("dm", "dc", "rtp", "frepo"));

TEST(Learner, AloneLeavesTheNetworkOfTheSetOut) {
  EvalOptions options = quick("dc");
  options.random_baseline = false;
  options.learners = {
      {"constant", [](const Lesson&) {
         return Learned{[](const at::Tensor& images) {
           return at::one_hot(at::zeros({images.size(0)}, at::kLong), 10).to(at::kFloat);
         }};
       }}};
  const Evaluation found = evaluate(set(), shapes(), options);
  ASSERT_EQ(found.results.size(), 1u);
  EXPECT_EQ(found.results[0].class_accuracies.at(0), 1);
  EXPECT_EQ(found.results[0].class_accuracies.at(1), 0);
}

TEST(Learner, IsToldOfALossThatIsNotFinite) {
  EvalOptions options = quick("dc");
  options.learners = {{"diverging", [](const Lesson& lesson) -> Learned {
                         lesson.done(0, std::numeric_limits<double>::quiet_NaN(), {});
                         return {};
                       }}};
  EXPECT_THROW(evaluate(set(), shapes(), options), StateError);
}

}  // namespace
}  // namespace retort::eval
