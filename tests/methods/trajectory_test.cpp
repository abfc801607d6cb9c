// MTT, FTD, TESLA and DATM on toy experts.
#include <gtest/gtest.h>

#include "methods/toy_experts.h"
#include "methods/trajectory/trajectory.h"
#include "retort/core/error.h"
#include "retort/train/trajectories.h"

namespace retort::methods {
namespace {

struct Toy {
  data::Dataset data = tests::toy_dataset();
  std::unique_ptr<nets::Network> network;
  synthetic::Geometry geometry{{2, 2, 2}, 3, 8, 8};
  std::unique_ptr<Method> method;
  OptionSet set;
  std::unique_ptr<Objective> objective;
  View view;

  Toy(std::unique_ptr<Method> made, std::map<std::string, std::string> given,
      const std::string& name = "convnet-w4-d2")
      : network(nets::make_network(name, {3, 8, 8, 3})), method(std::move(made)) {
    method->declare(set);
    given.insert({{"experts", tests::toy_experts(name)},
                  {"inner_steps", "4"},
                  {"expert_epochs", "1"},
                  {"max_start_epoch", "2"}});
    Problems problems;
    for (const auto& [key, text] : given) set.set(key, text, "test", problems);
    problems.raise("test");
    objective = method->objective(context());
    view.labels = geometry.labels();
    view.offsets = geometry.offsets();
    std::vector<int64_t> rows{0, 1, 12, 13, 24, 25};
    view.images = data.preprocessing.apply(
        data.train.images.index_select(0, at::tensor(rows, at::kLong)), at::Device(at::kCPU));
  }
  Context context() const { return {data, *network, geometry, "none", 5, at::Device(at::kCPU)}; }
  Cotangents at_iteration(int64_t iteration) {
    objective->begin(iteration);
    return objective->cotangents(view);
  }
};

TEST(Mtt, LossIsOneWhereNothingIsLearned) {
  // At the smallest rate theta_N is all but theta_0.
  Toy toy(make_mtt(), {{"student_learning_rate", "1e-6"}});
  EXPECT_NEAR(toy.at_iteration(0).loss, 1, 1e-3);
}

TEST(Mtt, TheSameDrawsGiveTheSameLoss) {
  Toy a(make_mtt(), {{"synthetic_batch", "4"}}), b(make_mtt(), {{"synthetic_batch", "4"}});
  b.at_iteration(0);
  EXPECT_EQ(a.at_iteration(3).loss, b.at_iteration(3).loss);
  EXPECT_NE(a.at_iteration(3).loss, a.at_iteration(4).loss);
}

TEST(Mtt, GradientsAreThoseOfTheLoss) {
  // Smooth: with ReLU, differences are no oracle.
  Toy toy(make_mtt(), {{"synthetic_batch", "4"}, {"student_learning_rate", "0.05"}},
          "convnet-w4-d2-swish");
  const Cotangents found = toy.at_iteration(1);
  const at::Tensor images = toy.view.images.clone();
  const at::Tensor direction = found.images / found.images.norm();
  const double step = 0.02;
  toy.view.images = images + step * direction;
  const double ahead = toy.at_iteration(1).loss;
  toy.view.images = images - step * direction;
  const double behind = toy.at_iteration(1).loss;
  const double slope = (found.images * direction).sum().item<double>();
  EXPECT_NEAR((ahead - behind) / (2 * step) / slope, 1, 0.05);

  toy.view.images = images;
  at::Tensor rate = toy.objective->learned()[0].value;
  rate.fill_(0.0505);
  const double faster = toy.at_iteration(1).loss;
  rate.fill_(0.0495);
  const double slower = toy.at_iteration(1).loss;
  EXPECT_NEAR((faster - slower) / 0.001 / found.learned[0].item<double>(), 1, 0.05);
}

TEST(Mtt, ExpertsTakeTurns) {
  Toy toy(make_mtt(), {{"max_start_epoch", "1"}});
  // Two experts, one start epoch, no augmentation, the whole set in every step: two losses.
  const double a = toy.at_iteration(0).loss, b = toy.at_iteration(1).loss;
  const double c = toy.at_iteration(2).loss, d = toy.at_iteration(3).loss;
  EXPECT_NE(a, b);
  EXPECT_EQ(std::min(a, b), std::min(c, d));
  EXPECT_EQ(std::max(a, b), std::max(c, d));
}

TEST(Mtt, RefusesExpertsThatAreTooShort) {
  tests::expect_error<ConfigError>(
      [] {
        Toy(make_mtt(), {{"max_start_epoch", "9"}});
      },
      {"3 epochs", "--max-start-epoch 9", "need 9"});
}

TEST(Mtt, RefusesNetworksWithRunningStatistics) {
  Toy toy(make_mtt(), {});
  const auto other = nets::make_network("convnet-w4-d2-bn", {3, 8, 8, 3});
  const Context context{toy.data, *other, toy.geometry, "none", 0, at::Device(at::kCPU)};
  tests::expect_error<ConfigError>([&] { toy.method->objective(context); }, {"BatchNorm"});
}

TEST(Mtt, GoesOnOnlyWithTheSameExperts) {
  Toy toy(make_mtt(), {});
  TensorMap state = toy.objective->state();
  toy.objective->restore(state);
  state["experts"] = at::zeros({4}, at::kByte);
  tests::expect_error<StateError>([&] { toy.objective->restore(state); }, {"--experts"});
}

TEST(Tesla, WithoutTheHessianDescendsInAnotherDirection) {
  Toy exact(make_tesla(), {{"student_learning_rate", "0.1"}});
  Toy bare(make_tesla(), {{"student_learning_rate", "0.1"}, {"hessian", "no"}});
  const Cotangents a = exact.at_iteration(0), b = bare.at_iteration(0);
  EXPECT_EQ(a.loss, b.loss);
  const double cosine = (a.images * b.images).sum().item<double>() /
                        (a.images.norm() * b.images.norm()).item<double>();
  EXPECT_GT(cosine, 0.3);
  EXPECT_LT(cosine, 0.99999);
}

TEST(Tesla, TeachersLabelsGoIntoTheBundle) {
  Toy toy(make_tesla(), {{"teacher_labels", "yes"}});
  toy.at_iteration(0);
  synthetic::Bundle bundle;
  toy.objective->complete(bundle);
  EXPECT_EQ(bundle.soft_labels.sizes(), at::IntArrayRef({6, 3}));
  EXPECT_LT((bundle.soft_labels.sum(1) - 1).abs().max().item<double>(), 1e-5);
}

TEST(Datm, LearnsLabelsDownTheirGradient) {
  Toy toy(make_datm(), {{"first_max_start_epoch", "0"}, {"skip_above", "100"}});
  toy.objective->start(toy.view.images, false);
  const auto learned = toy.objective->learned();
  ASSERT_EQ(learned[1].name, "label_logits");
  const Cotangents found = toy.at_iteration(0);
  const at::Tensor logits = learned[1].value, before = logits.clone();
  const at::Tensor direction = found.learned[1] / found.learned[1].norm();
  logits.copy_(before + 0.05 * direction);
  const double ahead = toy.at_iteration(0).loss;
  logits.copy_(before - 0.05 * direction);
  const double behind = toy.at_iteration(0).loss;
  EXPECT_NEAR((ahead - behind) / 0.1 / found.learned[1].norm().item<double>(), 1, 0.05);
}

TEST(Datm, StartsFromImagesThatTheFirstExpertHasRight) {
  Toy toy(make_datm(), {{"first_max_start_epoch", "0"}});
  const at::Tensor images = toy.objective->start(toy.view.images, false);
  const train::Trajectories experts(tests::toy_experts(), toy.data, *toy.network);
  const at::Tensor said =
      toy.network->predict(experts.snapshot(0, 3), at::Tensor(), images).argmax(1);
  const at::Tensor other =
      toy.network->predict(experts.snapshot(1, 3), at::Tensor(), images).argmax(1);
  const at::Tensor right = said.eq(toy.view.labels).logical_or(other.eq(toy.view.labels));
  EXPECT_GE(right.sum().item<int64_t>(), 4);  // weak experts may have a class wrong altogether
  EXPECT_TRUE(at::isfinite(toy.objective->learned()[1].value).all().item<bool>());
  EXPECT_TRUE(toy.objective->start(toy.view.images, true).equal(toy.view.images));
}

TEST(Datm, SkipsWhatIsAboveItsThreshold) {
  Toy toy(make_datm(), {{"first_max_start_epoch", "0"}, {"skip_above", "1e-9"}});
  toy.objective->start(toy.view.images, false);
  EXPECT_TRUE(toy.at_iteration(0).skip);
}

TEST(Datm, RefusesAWindowThatIsNone) {
  tests::expect_error<ConfigError>(
      [] {
        Toy(make_datm(), {{"min_start_epoch", "2"}, {"first_max_start_epoch", "2"}});
      },
      {"--min-start-epoch 2"});
}

TEST(Ftd, AveragesItsImages) {
  const Toy toy(make_ftd(), {{"average_decay", "0.99"}});
  EXPECT_EQ(toy.objective->average_decay(), 0.99);
}

}  // namespace
}  // namespace retort::methods
