// The methods that train on the set, as golden_test.cpp has the others: trajectories to match, and
// training to go back through.
#include <gtest/gtest.h>

#include <algorithm>

#include "methods/golden_case.h"
#include "methods/outer_loop.h"
#include "methods/trajectory/trajectory.h"
#include "methods/unrolled/unrolled.h"
#include "synthetic/made.h"

namespace retort::methods {
namespace {

using namespace golden;

// --- trajectory matching

/// What iteration `iteration` draws, given to `golden`; experts are hashed, so snapshots are known.
void give_trajectory(Golden& golden, const Case& c, uint64_t iteration, int64_t first, int64_t last,
                     int64_t expert_epochs, int64_t steps, int64_t batch,
                     const std::string& prefix = "") {
  const int64_t expert =
      RandomStream(kSeed, "trajectory.expert", iteration / 2).permutation(2)[iteration % 2];
  const int64_t epoch =
      first + RandomStream(kSeed, "trajectory.start", iteration).uniform_int(last - first);
  golden.input(prefix + "start", tests::hashed_snapshot(*c.network, expert, epoch));
  golden.input(prefix + "target",
               tests::hashed_snapshot(*c.network, expert, epoch + expert_epochs));
  std::vector<int64_t> order;
  for (int64_t k = 0; k < steps; ++k) {
    const auto step = static_cast<uint64_t>(k);
    if (order.empty())
      order = RandomStream(kSeed, "trajectory.order", iteration, step).permutation(c.layout.size());
    // Chunks of a permutation are consumed from its end: the short remainder comes first.
    const int64_t left = static_cast<int64_t>(order.size()),
                  rows = left % batch == 0 ? batch : left % batch;
    const std::vector<int64_t> taken(order.end() - rows, order.end());
    order.resize(static_cast<size_t>(left - rows));
    golden.input(prefix + "rows" + std::to_string(k), longs(taken));
    RandomStream draw(kSeed, "trajectory.augment", iteration, step);
    golden.input(prefix + "augment" + std::to_string(k),
                 augment::draw_each(augment::parse_strategy(c.augmentation), rows, 8, 8, draw));
  }
}

void expect_trajectory(const std::string& name, std::unique_ptr<Method> method,
                       const std::map<std::string, std::string>& more = {}) {
  Golden golden(name);
  std::map<std::string, std::string> given{{"inner_steps", "5"},
                                           {"expert_epochs", "2"},
                                           {"max_start_epoch", "4"},
                                           {"synthetic_batch", "4"},
                                           {"student_learning_rate", "0.05"}};
  given.insert(more.begin(), more.end());
  Case c(std::move(method), given, "convnet-w4-d2-swish", kAll);
  c.give_set(golden);
  give_trajectory(golden, c, 3, 0, 4, 2, 5, 4);
  c.objective->begin(3, c.view);
  const Cotangents found = c.objective->evaluate(c.view, 0);
  golden.answer("loss", found.loss, kFloat);
  golden.answer("d_images", found.images, 1e-4);
  golden.answer("d_rate", found.learned[0], 1e-4);
}

TEST(MttGolden, AnIterationIsTheReferences) {
  expect_trajectory("mtt", make_mtt());
}

TEST(TeslaGolden, AnIterationWithoutTheHessianIsItsFormula) {
  expect_trajectory("tesla", make_tesla(), {{"hessian", "false"}});
  expect_trajectory("tesla_teacher", make_tesla(),
                    {{"hessian", "false"}, {"teacher_labels", "true"}});
}

TEST(DatmGolden, AnIterationWithItsLabelsIsTheReferences) {
  Golden golden("datm");
  Case c(make_datm(),
         {{"inner_steps", "5"},
          {"expert_epochs", "2"},
          {"min_start_epoch", "1"},
          {"first_max_start_epoch", "2"},
          {"max_start_epoch", "4"},
          {"widening_iterations", "10"},
          {"synthetic_batch", "4"},
          {"skip_above", "100"},
          {"student_learning_rate", "0.05"}},
         "convnet-w4-d2-swish", kAll);
  c.give_set(golden);
  // Logits to start from: of the experts' last snapshots that have an image right, the mean.
  golden.input("last0", tests::hashed_snapshot(*c.network, 0, 6));
  golden.input("last1", tests::hashed_snapshot(*c.network, 1, 6));
  c.objective->start(c.view);
  const at::Tensor logits = c.objective->learned()[1].value;
  golden.answer("logits", logits, kFloat);
  logits.copy_(tests::hashed({6, 3}, 21).mul(2));
  golden.input("label_logits", logits.clone());
  give_trajectory(golden, c, 5, 1, 3, 2, 5, 4);  // 2 + floor((4 - 2) 5 / 10) = 3
  c.objective->begin(5, c.view);
  const Cotangents found = c.objective->evaluate(c.view, 0);
  golden.answer("loss", found.loss, kFloat);
  golden.answer("d_images", found.images, 1e-4);
  golden.answer("d_rate", found.learned[0], 1e-4);
  golden.answer("d_logits", found.learned[1], 1e-4);
}

// Two iterations: of the images and the rate, which SGD moves, and of the images' moving average.
TEST(FtdGolden, TwoIterationsWithTheMovingAverageAreTheReferences) {
  Golden golden("ftd");
  Case c(make_ftd(),
         {{"inner_steps", "3"},
          {"expert_epochs", "2"},
          {"max_start_epoch", "4"},
          {"synthetic_batch", "2"},
          {"average_decay", "0.9"},
          {"student_learning_rate", "0.05"},
          {"student_rate_learning_rate", "0.0005"}},
         "convnet-w4-d2-swish", kAll, {1, 1, 1});
  c.give_set(golden);
  give_trajectory(golden, c, 0, 0, 4, 2, 3, 2, "first_");
  give_trajectory(golden, c, 1, 0, 4, 2, 3, 2, "second_");
  DistillOptions options;
  options.image_learning_rate = 100;
  options.image_momentum = 0.5;
  auto pixels = synthetic::made("pixels", {}, {c.layout});
  pixels->initialise(c.view.images.clone());
  const at::Tensor images = pixels->parameters()[0].value;
  OuterLoop outer(options, std::move(pixels), std::move(c.objective));
  golden.answer("first_loss", outer.step(0), kFloat);
  golden.answer("second_loss", outer.step(1), kFloat);
  golden.answer("images_after", images, kFloat);
  golden.answer("average", outer.result().images, kFloat);
  golden.answer("rate_after", outer.learned()[0].value, kFloat);
}

// --- training gone back through

TEST(DdGolden, AnIterationWithItsRatesIsTheReferences) {
  Golden golden("dd");
  Case c(make_dd(), {{"inner_epochs", "3"}, {"real_batch", "5"}}, "convnet-w4-d2-swish", "none",
         {2, 2, 2});  // the reference has as many images of every class
  c.give_set(golden);
  golden.input("theta", c.network->initial(RandomStream(kSeed, "unrolled.network", 0)));
  c.give_real(golden, RandomStream(kSeed, "unrolled.real", 0).sample(36, 5));
  at::Tensor rates = c.objective->learned()[0].value;  // before the softplus
  golden.answer("rates_at_first", rates, 1e-6);
  rates.copy_(tests::hashed({6}, 24).sub(3));
  golden.input("rates", rates.clone());
  c.objective->begin(0, c.view);
  const Cotangents found = c.objective->evaluate(c.view, 0);
  golden.answer("loss", found.loss, kFloat);
  golden.answer("d_images", found.images, 1e-4);
  golden.answer("d_rates", found.learned[0], 1e-4);
  DistillOptions options;  // Adam's step
  options.take(c.method->defaults());
  auto pixels = synthetic::made("pixels", {}, {c.layout});
  pixels->initialise(c.view.images.clone());
  const at::Tensor images = pixels->parameters()[0].value;
  OuterLoop outer(options, std::move(pixels), std::move(c.objective));
  golden.answer("loss", outer.step(0), kFloat);
  golden.answer("first_image_after", images[0], kFloat);
  golden.answer("rates_after", outer.learned()[0].value, kFloat);
}

/// What iteration 0 draws of the `chosen` classes for its steps and for the real batch.
void give_training(Golden& golden, const Case& c, const std::vector<int64_t>& chosen, int64_t steps,
                   int64_t each, int64_t real_each) {
  golden.input("theta", c.network->initial(RandomStream(kSeed, "unrolled.network", 0)));
  golden.input("classes", longs(chosen));
  std::vector<int64_t> real;
  for (const int64_t k : chosen)
    c.draw_class(static_cast<size_t>(k), real_each,
                 RandomStream(kSeed, "unrolled.real", 0, static_cast<uint64_t>(k)), real);
  c.give_real(golden, real);
  for (uint64_t step = 0; step < static_cast<uint64_t>(steps); ++step) {
    std::vector<int64_t> rows;
    for (const int64_t k : chosen) {
      const auto at = static_cast<size_t>(k);
      RandomStream draw(kSeed, "unrolled.batch", 0, step, at);
      const int64_t all = c.layout.counts[at];
      for (const int64_t i : draw.sample(all, std::min(each, all)))
        rows.push_back(c.view.offsets[at] + i);
    }
    golden.input("rows" + std::to_string(step), longs(rows));
    if (c.augmentation != "none")
      golden.input("augment" + std::to_string(step),
                   c.row_of_class(RandomStream(kSeed, "unrolled.augment", 0, step)));
  }
  if (c.augmentation != "none")
    golden.input("augment_real",
                 c.row_of_class(RandomStream(kSeed, "unrolled.augment_real", 0, 0)));
}

TEST(BpttGolden, AnIterationOfMemoriesIsTheReferences) {
  Golden golden("bptt_memories");
  Case c(make_bptt(),
         {{"inner_steps", "4"},
          {"synthetic_per_class", "2"},
          {"real_per_class", "2"},
          {"classes_per_step", "2"},
          {"student_momentum", "0.9"},
          {"student_learning_rate", "0.05"}},
         "convnet-w4-d2-sigmoid", kAll, {3, 3, 3});
  auto memories = synthetic::made(
      "memories", {{"bases", "4"}, {"downsample", "2"}, {"addressers", "3"}}, {c.layout});
  const std::vector<synthetic::ParameterGroup> groups = memories->parameters();
  for (uint32_t i = 0; i < 2; ++i) {
    at::Tensor(groups[i].value).copy_(tests::hashed(groups[i].value.sizes().vec(), 25 + i));
    golden.input(groups[i].name, groups[i].value.clone());
  }
  std::vector<int64_t> chosen = RandomStream(kSeed, "unrolled.classes", 0).sample(3, 2);
  std::sort(chosen.begin(), chosen.end());
  give_training(golden, c, chosen, 4, 2, 2);
  c.view.images = memories->decode();
  golden.answer("images", c.view.images.slice(0, 0, 9, 3), kFloat);  // one of every class
  c.objective->begin(0, c.view);
  const Cotangents found = c.objective->evaluate(c.view, 0);
  const std::vector<at::Tensor> pulled = memories->pullback(found.images);
  golden.answer("loss", found.loss, kFloat);
  golden.answer("d_bases", pulled[0], 1e-4);
  golden.answer("d_coefficients", pulled[1], 1e-4);
  DistillOptions options;  // a step of both, clipped together
  options.image_learning_rate = 20;
  options.clip_norm = 0.005;
  OuterLoop outer(options, std::move(memories), std::move(c.objective));
  golden.answer("loss", outer.step(0), kFloat);
  golden.answer("bases_after", groups[0].value, kFloat);
  golden.answer("coefficients_after", groups[1].value, kFloat);
}

TEST(BpttGolden, AWindowWithRateAndLabelsIsItsFormula) {
  Golden golden("bptt_window");
  Case c(make_bptt(),
         {{"inner_steps", "4"},
          {"window", "2"},
          {"synthetic_per_class", "1"},
          {"real_per_class", "2"},
          {"student_momentum", "0.9"},
          {"student_weight_decay", "0.01"},
          {"student_learning_rate", "0.05"},
          {"student_rate_learning_rate", "1"},
          {"label_learning_rate", "1"}},
         "convnet-w4-d2-swish", "none", {1, 2, 1});
  c.give_set(golden);
  give_training(golden, c, {0, 1, 2}, 4, 1, 2);
  at::Tensor labels = c.objective->learned()[1].value;
  labels.copy_(tests::hashed({4, 3}, 27).abs());
  golden.input("label_values", labels.clone());
  c.objective->begin(0, c.view);
  const Cotangents found = c.objective->evaluate(c.view, 0);
  golden.answer("loss", found.loss, kFloat);
  golden.answer("d_images", found.images, 1e-4);
  golden.answer("d_rate", found.learned[0], 1e-4);
  golden.answer("d_labels", found.learned[1], 1e-4);
}

}  // namespace
}  // namespace retort::methods
