// Whole steps of the methods against the authors' own functions, with the draws of the step as they
// fall here: tests/golden/README.md. The answers are float64, the methods float32.
#include <gtest/gtest.h>

#include "methods/gradient/dc.h"
#include "methods/hashed_experts.h"
#include "methods/kernel/kernel.h"
#include "methods/kernel/tangent_kernel.h"
#include "methods/matching/dm.h"
#include "methods/toy.h"
#include "methods/trajectory/trajectory.h"
#include "retort/augment/siamese.h"
#include "retort/losses/losses.h"

namespace retort::methods {
namespace {

using tests::Golden;

constexpr uint64_t kSeed = 5;
constexpr const char* kAll = "color_crop_cutout_flip_scale_rotate";
constexpr double kFloat = 2e-5;  // float32 after some sums, of the largest value

at::Tensor longs(const std::vector<int64_t>& values) {
  return at::tensor(values, at::kLong);
}

/// A method on toy data, at hashed images of 2, 1 and 3 of the classes.
struct Case {
  data::Dataset data = tests::toy_dataset();
  std::unique_ptr<nets::Network> network;
  synthetic::Geometry geometry{{2, 1, 3}, 3, 8, 8};
  std::string augmentation;
  std::unique_ptr<Method> method;
  OptionSet set;
  std::unique_ptr<Objective> objective;
  View view;
  tests::TempFolder folder;

  Case(std::unique_ptr<Method> made, std::map<std::string, std::string> given,
       const std::string& name, std::string augmented = "none")
      : network(nets::make_network(name, {3, 8, 8, 3})),
        augmentation(std::move(augmented)),
        method(std::move(made)) {
    method->declare(set);
    if (set.find("experts")) {
      tests::write_hashed_experts(folder / "experts", data, *network, 2, 6);
      given["experts"] = (folder / "experts").string();
    }
    Problems problems;
    for (const auto& [key, text] : given) set.set(key, text, "test", problems);
    problems.raise("test");
    objective = method->objective(context());
    view = {tests::hashed({6, 3, 8, 8}, 7).mul(2).to(at::kFloat), geometry.labels(),
            geometry.offsets()};
  }
  Context context() const {
    return {data, *network, geometry, augmentation, kSeed, at::Device(at::kCPU)};
  }
  at::Tensor input_of(const std::vector<int64_t>& rows) const {
    return data.preprocessing.apply(data.train.images.index_select(0, longs(rows)),
                                    at::Device(at::kCPU));
  }
  /// `count` training rows of class c, drawn from `draw`.
  void draw_class(size_t c, int64_t count, Stream draw, std::vector<int64_t>& rows) const {
    const auto& members = data.train.members[c];
    for (const int64_t i : draw.sample(static_cast<int64_t>(members.size()), count))
      rows.push_back(members[static_cast<size_t>(i)]);
  }
  at::Tensor row_of_class(Stream draw) const {
    return augment::draw_shared(augment::parse_strategy(augmentation), 8, 8, draw);
  }
  void give_set(Golden& golden) const {
    golden.input("images", view.images);
    golden.input("labels", view.labels);
    golden.input("offsets", longs(view.offsets));
  }
};

// --- distribution matching

void expect_dm(const std::string& name, const std::string& network, const char* augmentation) {
  Golden golden(name);
  Case c(make_dm(), {{"real_batch", "7"}}, network, augmentation);
  c.give_set(golden);
  std::vector<int64_t> real;
  std::vector<at::Tensor> rows;
  for (uint64_t k = 0; k < 3; ++k) {
    c.draw_class(k, 7, Stream(kSeed, "dm.real", 0, k), real);
    rows.push_back(c.row_of_class(Stream(kSeed, "dm.augment", 0, k)));
  }
  golden.input("theta", c.network->initial(Stream(kSeed, "dm.network", 0)));
  golden.input("real", c.input_of(real));
  golden.input("rows", at::cat(rows));
  c.objective->begin(0);
  const Cotangents found = c.objective->cotangents(c.view);
  golden.answer("loss", found.loss, kFloat);
  golden.answer("d_images", found.images, kFloat);
}

TEST(DmGolden, AStepIsTheReferences) {
  expect_dm("dm_all", "convnet-w4-d2-swish", kAll);
  expect_dm("dm_scale", "convnet-w4-d2", "scale");
  expect_dm("dm_bn", "convnet-w4-d2-bn", "color");
}

// --- gradient matching

void expect_gradient_matching(const std::string& name, const std::string& network, bool dsa,
                              const std::string& distance) {
  Golden golden(name);
  Case c(dsa ? make_dsa() : make_dc(),
         {{"real_batch", "7"}, {"inner_loop", "2"}, {"outer_loop", "2"}, {"distance", distance}},
         network, dsa ? kAll : "none");
  c.give_set(golden);
  golden.input("theta", c.network->initial(Stream(kSeed, "gradient.network", 0)));
  c.objective->begin(0);
  for (uint64_t step = 0; step < 2; ++step) {
    const std::string at = std::to_string(step);
    std::vector<int64_t> real, calibration;
    std::vector<at::Tensor> rows;
    for (uint64_t k = 0; k < 3; ++k) {
      c.draw_class(k, 7, Stream(kSeed, "gradient.real", 0, step, k), real);
      c.draw_class(k, 16, Stream(kSeed, "gradient.calibration", 0, step, k), calibration);
      if (dsa) rows.push_back(c.row_of_class(Stream(kSeed, "gradient.augment", 0, step, k)));
    }
    golden.input("real" + at, c.input_of(real));
    golden.input("calibration" + at, c.input_of(calibration));
    if (dsa) golden.input("rows" + at, at::cat(rows));
    for (uint64_t epoch = 0; step == 1 && epoch < 2; ++epoch) {  // the whole set is one batch
      const std::string of = std::to_string(epoch);
      golden.input("order" + of,
                   longs(Stream(kSeed, "gradient.order", 0, 1, epoch).permutation(6)));
      Stream draw(kSeed, "gradient.inner_augment", 0, 1, epoch, 0);
      if (dsa)
        golden.input("inner_rows" + of,
                     augment::draw_each(augment::parse_strategy(kAll), 6, 8, 8, draw));
    }
    const Cotangents found = c.objective->cotangents(c.view);
    golden.answer("loss" + at, found.loss, kFloat);
    golden.answer("d_images" + at, found.images, 1e-4);
  }
}

TEST(DcGolden, TwoMatchingStepsAreTheReferences) {
  for (const char* distance : {"ours", "mse", "cos"})
    expect_gradient_matching(std::string("dc_") + distance, "convnet-w4-d2-swish", false, distance);
  expect_gradient_matching("dc_bn", "convnet-w4-d2-bn-swish", false, "ours");
}

TEST(DsaGolden, TwoMatchingStepsAreTheReferences) {
  expect_gradient_matching("dsa", "convnet-w4-d2-swish", true, "ours");
}

// --- trajectory matching

/// What iteration `iteration` draws, given to `golden`; experts are hashed, so snapshots are known.
void give_trajectory(Golden& golden, const Case& c, uint64_t iteration, int64_t first, int64_t last,
                     int64_t expert_epochs, int64_t steps, int64_t batch) {
  const int64_t expert =
      Stream(kSeed, "trajectory.expert", iteration / 2).permutation(2)[iteration % 2];
  const int64_t epoch = first + Stream(kSeed, "trajectory.start", iteration).below(last - first);
  golden.input("start", tests::hashed_snapshot(*c.network, expert, epoch));
  golden.input("target", tests::hashed_snapshot(*c.network, expert, epoch + expert_epochs));
  std::vector<int64_t> order;
  for (int64_t k = 0; k < steps; ++k) {
    const auto step = static_cast<uint64_t>(k);
    if (order.empty()) order = Stream(kSeed, "trajectory.order", iteration, step).permutation(6);
    // Chunks of a permutation are consumed from its end: the short remainder comes first.
    const int64_t left = static_cast<int64_t>(order.size()),
                  rows = left % batch == 0 ? batch : left % batch;
    const std::vector<int64_t> taken(order.end() - rows, order.end());
    order.resize(static_cast<size_t>(left - rows));
    golden.input("rows" + std::to_string(k), longs(taken));
    Stream draw(kSeed, "trajectory.augment", iteration, step);
    golden.input("augment" + std::to_string(k),
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
  c.objective->begin(3);
  const Cotangents found = c.objective->cotangents(c.view);
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
  c.objective->start(c.view.images, true);
  const at::Tensor logits = c.objective->learned()[1].value;
  golden.answer("logits", logits, kFloat);
  logits.copy_(tests::hashed({6, 3}, 21).mul(2));
  golden.input("label_logits", logits.clone());
  give_trajectory(golden, c, 5, 1, 3, 2, 5, 4);  // 2 + floor((4 - 2) 5 / 10) = 3
  c.objective->begin(5);
  const Cotangents found = c.objective->cotangents(c.view);
  golden.answer("loss", found.loss, kFloat);
  golden.answer("d_images", found.images, 1e-4);
  golden.answer("d_rate", found.learned[0], 1e-4);
  golden.answer("d_logits", found.learned[1], 1e-4);
}

// --- kernel regression

void expect_frepo(const std::string& name, const std::string& network, const std::string& flip) {
  Golden golden(name);
  Case c(make_frepo(),
         {{"real_batch", "20"}, {"flip", flip}, {"pool_size", "2"}, {"pool_steps", "50"}}, network);
  c.give_set(golden);
  Stream draw(kSeed, "frepo.real", 0);
  const RealBatch real = real_rows(c.context(), draw.sample(36, 20));
  golden.input("real", real.images);
  golden.input("targets", real.targets);
  const int64_t place = Stream(kSeed, "frepo.pick", 0).below(2);
  const std::string at = "theta." + std::to_string(place);
  golden.input("theta", c.objective->state().at(at));
  golden.input("flip", at::full({1}, flip == "yes", at::kLong));
  at::Tensor labels = c.objective->learned()[0].value;
  labels.copy_(tests::hashed({6, 3}, 22));
  golden.input("label_values", labels.clone());
  c.objective->begin(0);
  const Cotangents found = c.objective->cotangents(c.view);
  golden.answer("loss", found.loss, kFloat);
  golden.answer("d_images", found.images, 2e-3);
  golden.answer("d_labels", found.learned[0], 1e-4);
  // The next iteration begins with a step of the network that was used.
  c.objective->begin(1);
  c.objective->cotangents(c.view);
  golden.answer("theta_after", c.objective->state().at(at), 1e-5);
  if (!c.network->couples_rows()) return;
  // Deviation: the variance of the 6 x 4 x 4 values of a channel divides by 95, theirs by 96.
  const at::Tensor kept = c.objective->state().at("state." + std::to_string(place)).clone();
  at::Tensor variance = kept.slice(0, 4);
  variance.copy_((variance - 0.1) * (95.0 / 96) + 0.1);
  golden.answer("statistics_after", kept, 1e-5);
}

TEST(FrepoGolden, AnIterationAndAStepOfThePoolAreTheAuthors) {
  expect_frepo("frepo", "wideconv-w4-d2-nn", "no");
  expect_frepo("frepo_flip_bn", "wideconv-w4-d2-bn", "yes");
}

TEST(KipGolden, AnIterationIsTheNotebooks) {
  Golden golden("kip");
  Case c(make_kip(),
         {{"real_batch", "12"},
          {"hidden_layers", "2"},
          {"kernel_labels", "learned"},
          {"regularisation", "0.01"}},
         "convnet-w4-d2");
  c.give_set(golden);
  std::vector<int64_t> rows;
  for (uint64_t k = 0; k < 3; ++k) c.draw_class(k, 4, Stream(kSeed, "kip.real", 0, k), rows);
  const RealBatch real = real_rows(c.context(), rows);
  golden.input("real", real.images);
  golden.input("targets", real.targets);
  c.objective->learned()[0].value.copy_(tests::hashed({6, 3}, 23));
  golden.input("label_values", c.objective->learned()[0].value.clone());
  const at::Tensor points = c.view.images.to(at::kDouble).flatten(1);
  for (const int64_t depth : {1, 2})
    golden.answer("kernel" + std::to_string(depth), tangent_kernel(points, points, depth), 1e-10);
  c.objective->begin(0);
  const Cotangents found = c.objective->cotangents(c.view);
  golden.answer("loss", found.loss, 1e-6);
  golden.answer("d_images", found.images, kFloat);
  golden.answer("d_labels", found.learned[0], kFloat);
}

}  // namespace
}  // namespace retort::methods
