// MTT, FTD, TESLA and DATM on toy experts. Long: the four differ in a line or two, and each is
// held against the same two toys.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "methods/hashed_experts.h"
#include "methods/outer_loop.h"
#include "methods/toy_experts.h"
#include "methods/trajectory/trajectory.h"
#include "retort/core/error.h"
#include "retort/trajectories/trajectories.h"

namespace retort::methods {
namespace {

struct Toy {
  data::Dataset data = tests::toy_dataset();
  std::unique_ptr<nets::Network> network;
  synthetic::SetLayout layout{{2, 2, 2}, 3, 8, 8};
  std::unique_ptr<Method> method;
  OptionSet set;
  std::unique_ptr<Objective> objective;
  SyntheticSet view;

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
    view.labels = layout.labels();
    view.offsets = layout.offsets();
    std::vector<int64_t> rows{0, 1, 12, 13, 24, 25};
    view.images = data.preprocessing.apply(
        data.train.images.index_select(0, at::tensor(rows, at::kLong)), at::Device(at::kCPU));
  }
  Context context() const { return {data, *network, layout, "none", 5, at::Device(at::kCPU)}; }
  Cotangents at_iteration(int64_t iteration) {
    objective->begin(iteration, view);
    return objective->evaluate(view, 0);
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
  const Context context{toy.data, *other, toy.layout, "none", 0, at::Device(at::kCPU)};
  tests::expect_error<ConfigError>([&] { toy.method->objective(context); }, {"BatchNorm"});
}

// With one step there is no Hessian to leave out.
TEST(Tesla, WithoutTheHessianIsExactForOneStep) {
  Toy exact(make_tesla(), {{"inner_steps", "1"}, {"student_learning_rate", "0.1"}});
  Toy bare(make_tesla(),
           {{"inner_steps", "1"}, {"student_learning_rate", "0.1"}, {"hessian", "false"}});
  EXPECT_TRUE(at::allclose(exact.at_iteration(0).images, bare.at_iteration(0).images, 1e-5, 1e-9));
}

TEST(Tesla, WithoutTheHessianDescendsInAnotherDirection) {
  Toy exact(make_tesla(), {{"student_learning_rate", "0.1"}});
  Toy bare(make_tesla(), {{"student_learning_rate", "0.1"}, {"hessian", "false"}});
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
  toy.objective->start(toy.view);
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
  const at::Tensor images = toy.objective->starting_images(toy.view.images, false);
  toy.objective->start({images, toy.view.labels, toy.view.offsets});
  const trajectories::Trajectories experts(tests::toy_experts(), toy.data, *toy.network);
  const at::Tensor said =
      toy.network->predict(experts.snapshot(0, 3), at::Tensor(), images).argmax(1);
  const at::Tensor other =
      toy.network->predict(experts.snapshot(1, 3), at::Tensor(), images).argmax(1);
  const at::Tensor right = said.eq(toy.view.labels).logical_or(other.eq(toy.view.labels));
  EXPECT_GE(right.sum().item<int64_t>(), 4);  // weak experts may have a class wrong altogether
  EXPECT_TRUE(at::isfinite(toy.objective->learned()[1].value).all().item<bool>());
  EXPECT_TRUE(toy.objective->starting_images(toy.view.images, true).equal(toy.view.images));
}

TEST(Datm, SkipsWhatIsAboveItsThreshold) {
  Toy toy(make_datm(), {{"first_max_start_epoch", "0"}, {"skip_above", "1e-9"}});
  toy.objective->start(toy.view);
  EXPECT_TRUE(toy.at_iteration(0).skip);
}

TEST(Datm, RefusesAnEmptyRangeOfStartEpochs) {
  tests::expect_error<ConfigError>(
      [] {
        Toy(make_datm(), {{"min_start_epoch", "2"}, {"first_max_start_epoch", "2"}});
      },
      {"--min-start-epoch 2"});
}

/// Iterations on hashed experts with one inner step on the whole set: its loss tells which expert
/// and which epochs it went from and to.
struct Hashed {
  static constexpr int64_t kExperts = 2, kEpochs = 8;
  tests::TempFolder folder;
  std::unique_ptr<Toy> toy;

  Hashed(std::unique_ptr<Method> method, std::map<std::string, std::string> given) {
    const auto network = nets::make_network("convnet-w4-d2", {3, 8, 8, 3});
    tests::write_hashed_experts(folder.path(), tests::toy_dataset(), *network, kExperts, kEpochs);
    given.insert({{"experts", folder.path().string()},
                  {"inner_steps", "1"},
                  {"student_learning_rate", "0.5"}});
    toy = std::make_unique<Toy>(std::move(method), given);
  }
  /// |theta_0 - rate g - theta*|^2 / |theta_0 - theta*|^2, written out.
  double loss_of(int64_t expert, int64_t from, int64_t to, const losses::Targets& targets) const {
    const at::Tensor start = tests::hashed_snapshot(*toy->network, expert, from),
                     end = tests::hashed_snapshot(*toy->network, expert, to);
    const at::Tensor g = toy->network->gradient({start, {}, toy->view.images}, targets).theta;
    return ((start - 0.5 * g - end).to(at::kDouble).square().sum() /
            (start - end).to(at::kDouble).square().sum())
        .item<double>();
  }
  /// The epoch that an iteration started at, with `reach` epochs to its target; -1: none of them.
  int64_t start_of(int64_t iteration, int64_t reach, const losses::Targets& targets) const {
    const double loss = toy->at_iteration(iteration).loss;
    for (int64_t expert = 0; expert < kExperts; ++expert)
      for (int64_t from = 0; from + reach <= kEpochs; ++from)
        if (std::abs(loss / loss_of(expert, from, from + reach, targets) - 1) < 1e-4) return from;
    return -1;
  }
};

TEST(Mtt, GoesOnOnlyWithTheSameExperts) {
  Toy toy(make_mtt(), {});
  const Hashed other(make_mtt(), {{"expert_epochs", "2"}, {"max_start_epoch", "4"}});
  const tests::TempFolder folder;
  const DistillOptions options;
  const auto loop = [&](std::unique_ptr<Objective> objective) {
    auto set = synthetic::parametrisation_table().front().make()->make({toy.layout});
    return OuterLoop(options, std::move(set), std::move(objective));
  };
  const std::string began = toy.objective->identity(), now = other.toy->objective->identity();
  EXPECT_TRUE(began.starts_with("experts "));
  loop(std::move(toy.objective)).save(folder / "c", 0, "data");
  tests::expect_error<StateError>(
      [&] { loop(std::move(other.toy->objective)).load(folder / "c", "data"); },
      {"begun with the " + began + " and is now given the " + now, "another --out"});
}

TEST(Mtt, GoesFromEveryEpochBelowTheLastToTheOneMFurtherOn) {
  const Hashed hashed(make_mtt(), {{"expert_epochs", "3"}, {"max_start_epoch", "4"}});
  std::set<int64_t> starts;
  for (int64_t i = 0; i < 60; ++i) starts.insert(hashed.start_of(i, 3, {hashed.toy->view.labels}));
  EXPECT_EQ(starts, (std::set<int64_t>{0, 1, 2, 3}));
}

// U = min(T+, T + floor((T+ - T) i / E)) with T- = 1, T = 2, T+ = 5, E = 30: from 1 alone it widens
// to 1, 2, 3 and 4, one more every ten iterations, and stays so.
TEST(Datm, StartEpochsWidenAsPublished) {
  const Hashed hashed(make_datm(), {{"expert_epochs", "2"},
                                    {"min_start_epoch", "1"},
                                    {"first_max_start_epoch", "2"},
                                    {"max_start_epoch", "5"},
                                    {"widening_iterations", "30"},
                                    {"skip_above", "1e9"}});
  hashed.toy->objective->start(hashed.toy->view);
  const losses::Targets labels{at::softmax(hashed.toy->objective->learned()[1].value, 1)};
  const int64_t ends[] = {2, 3, 4, 5, 5, 5, 5, 5};
  std::set<int64_t> last;
  for (int64_t i = 0; i < 80; ++i) {
    const int64_t start = hashed.start_of(i, 2, labels), end = ends[i / 10];
    EXPECT_GE(start, 1) << i;
    EXPECT_LT(start, end) << i;
    if (i >= 30) last.insert(start);
  }
  EXPECT_EQ(last, (std::set<int64_t>{1, 2, 3, 4}));
}

TEST(Datm, LogitsToStartFromAreTheMeanOverExpertsThatAreRight) {
  const Hashed hashed(make_datm(), {{"expert_epochs", "2"}, {"first_max_start_epoch", "0"}});
  const Toy& toy = *hashed.toy;
  toy.objective->start(toy.view);
  const at::Tensor found = toy.objective->learned()[1].value;
  std::vector<at::Tensor> said;
  for (int64_t e = 0; e < Hashed::kExperts; ++e)
    said.push_back(toy.network->predict(tests::hashed_snapshot(*toy.network, e, Hashed::kEpochs),
                                        at::Tensor(), toy.view.images));
  for (int64_t n = 0; n < 6; ++n) {
    const int64_t label = toy.view.labels[n].item<int64_t>();
    at::Tensor sum = at::zeros({3});
    int64_t right = 0;
    for (const at::Tensor& logits : said) {
      if (logits[n].argmax().item<int64_t>() != label) continue;
      sum += logits[n];
      ++right;
    }
    if (right > 0) {
      EXPECT_TRUE(at::allclose(found[n], sum / right, 1e-4, 1e-5)) << n;
    } else {  // Deviation: the first expert's, the class brought to its top
      EXPECT_EQ(found[n][label].item<float>(), found[n].max().item<float>());
    }
  }
}

/// DATM's loop on hashed experts with images that the network cannot take.
TEST(Datm, SkipsAnIterationWhoseLossIsNotFinite) {
  const Hashed hashed(
      make_datm(),
      {{"expert_epochs", "2"}, {"first_max_start_epoch", "0"}, {"max_start_epoch", "4"}});
  Toy& toy = *hashed.toy;
  DistillOptions loop;
  auto set = synthetic::parametrisation_table().front().make()->make({toy.layout});
  const at::Tensor images = toy.view.images.clone();
  images[0].fill_(std::numeric_limits<float>::infinity());
  set->initialise(images.clone());
  toy.objective->start(toy.view);
  OuterLoop outer(loop, std::move(set), std::move(toy.objective));
  EXPECT_FALSE(std::isfinite(outer.step(0)));
  EXPECT_TRUE(outer.result().images.equal(images));
}

TEST(Mtt, StopsAtALossThatIsNotFinite) {
  const Hashed hashed(make_mtt(), {{"expert_epochs", "2"}, {"max_start_epoch", "4"}});
  Toy& toy = *hashed.toy;
  DistillOptions loop;
  auto set = synthetic::parametrisation_table().front().make()->make({toy.layout});
  set->initialise(at::full_like(toy.view.images, std::numeric_limits<float>::infinity()));
  OuterLoop outer(loop, std::move(set), std::move(toy.objective));
  tests::expect_error<StateError>([&] { outer.step(0); }, {"iteration 0", "loss"});
}

// Z starts as X and becomes 0.9 Z + 0.1 X after every step of X, which momentum 0.5 moves.
TEST(Ftd, ResultIsTheMovingAverageOfTheImages) {
  Hashed hashed(make_ftd(), {{"expert_epochs", "2"},
                             {"max_start_epoch", "4"},
                             {"average_decay", "0.9"},
                             {"student_rate_learning_rate", "0"}});
  Hashed other(
      make_ftd(),
      {{"expert_epochs", "2"}, {"max_start_epoch", "4"}, {"student_rate_learning_rate", "0"}});
  DistillOptions loop;
  loop.image_learning_rate = 10;
  loop.image_momentum = 0.5;
  SyntheticSet view = other.toy->view;
  view.images = view.images.clone();
  auto set = synthetic::parametrisation_table().front().make()->make({hashed.toy->layout});
  set->initialise(view.images.clone());
  OuterLoop outer(loop, std::move(set), std::move(hashed.toy->objective));
  at::Tensor average = view.images.clone(), velocity = at::zeros_like(average);
  for (int64_t i = 0; i < 3; ++i) {
    outer.step(i);
    other.toy->objective->begin(i, view);
    velocity = 0.5 * velocity + other.toy->objective->evaluate(view, 0).images;
    view.images = view.images - 10 * velocity;
    average = 0.9 * average + 0.1 * view.images;
  }
  EXPECT_TRUE(at::allclose(outer.result().images, average, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(outer.not_averaged()->images, view.images, 1e-5, 1e-6));
  EXPECT_GT((average - view.images).abs().max().item<double>(), 1e-3);
}

}  // namespace
}  // namespace retort::methods
