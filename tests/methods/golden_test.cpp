// Whole steps of the methods against the authors' own functions, with the draws of the step as they
// fall here: tests/golden/README.md. The answers are float64, the methods float32.
#include <gtest/gtest.h>

#include "methods/golden_case.h"
#include "methods/gradient/dc.h"
#include "methods/kernel/kernel.h"
#include "methods/kernel/tangent_kernel.h"
#include "methods/matching/dm.h"
#include "retort/losses/losses.h"

namespace retort::methods {
namespace {

using namespace golden;

// --- distribution matching

void expect_dm(const std::string& name, const std::string& network, const char* augmentation) {
  Golden golden(name);
  Case c(make_dm(), {{"real_batch", "7"}, {"experts", ""}}, network, augmentation);
  c.give_set(golden);
  std::vector<int64_t> real;
  std::vector<at::Tensor> rows;
  for (uint64_t k = 0; k < 3; ++k) {
    c.draw_class(k, 7, RandomStream(kSeed, "dm.real", 0, k), real);
    rows.push_back(c.row_of_class(RandomStream(kSeed, "dm.augment", 0, k)));
  }
  golden.input("theta", c.network->initial(RandomStream(kSeed, "dm.network", 0)));
  golden.input("real", c.input_of(real));
  golden.input("rows", at::cat(rows));
  c.objective->begin(0, c.view);
  const Cotangents found = c.objective->evaluate(c.view, 0);
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
  golden.input("theta", c.network->initial(RandomStream(kSeed, "gradient.network", 0)));
  c.objective->begin(0, c.view);
  for (uint64_t step = 0; step < 2; ++step) {
    const std::string at = std::to_string(step);
    std::vector<int64_t> real, calibration;
    std::vector<at::Tensor> rows;
    for (uint64_t k = 0; k < 3; ++k) {
      c.draw_class(k, 7, RandomStream(kSeed, "gradient.real", 0, step, k), real);
      c.draw_class(k, 16, RandomStream(kSeed, "gradient.calibration", 0, step, k), calibration);
      if (dsa) rows.push_back(c.row_of_class(RandomStream(kSeed, "gradient.augment", 0, step, k)));
    }
    golden.input("real" + at, c.input_of(real));
    golden.input("calibration" + at, c.input_of(calibration));
    if (dsa) golden.input("rows" + at, at::cat(rows));
    for (uint64_t epoch = 0; step == 1 && epoch < 2; ++epoch) {  // the whole set is one batch
      const std::string of = std::to_string(epoch);
      golden.input("order" + of,
                   longs(RandomStream(kSeed, "gradient.order", 0, 1, epoch).permutation(6)));
      RandomStream draw(kSeed, "gradient.inner_augment", 0, 1, epoch, 0);
      if (dsa)
        golden.input("inner_rows" + of,
                     augment::draw_each(augment::parse_strategy(kAll), 6, 8, 8, draw));
    }
    const Cotangents found = c.objective->evaluate(c.view, static_cast<int64_t>(step));
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

// --- kernel regression

void expect_frepo(const std::string& name, const std::string& network, const std::string& flip) {
  Golden golden(name);
  Case c(make_frepo(),
         {{"real_batch", "20"}, {"flip", flip}, {"pool_size", "2"}, {"pool_steps", "50"}}, network);
  c.give_set(golden);
  RandomStream draw(kSeed, "frepo.real", 0);
  const RealBatch real = real_rows(c.real(), draw.sample(36, 20));
  golden.input("real", real.images);
  golden.input("targets", real.targets);
  const int64_t place = RandomStream(kSeed, "frepo.pick", 0).uniform_int(2);
  const std::string at = "theta." + std::to_string(place);
  golden.input("theta", c.objective->state().at(at));
  golden.input("flip", at::full({1}, flip == "yes", at::kLong));
  at::Tensor labels = c.objective->learned()[0].value;
  labels.copy_(tests::hashed({6, 3}, 22));
  golden.input("label_values", labels.clone());
  c.objective->begin(0, c.view);
  const Cotangents found = c.objective->evaluate(c.view, 0);
  golden.answer("loss", found.loss, kFloat);
  golden.answer("d_images", found.images, 2e-3);
  golden.answer("d_labels", found.learned[0], 1e-4);
  // The next iteration begins with a step of the network that was used.
  c.objective->begin(1, c.view);
  c.objective->evaluate(c.view, 0);
  golden.answer("theta_after", c.objective->state().at(at), 1e-5);
  if (!c.network->couples_rows()) return;
  // Deviation: the variance of the 6 x 4 x 4 values of a channel divides by 95, theirs by 96.
  const at::Tensor kept = c.objective->state().at("state." + std::to_string(place)).clone();
  at::Tensor variance = kept.slice(0, 4);
  variance.copy_((variance - 0.1) * (95.0 / 96) + 0.1);
  golden.answer("statistics_after", kept, 1e-5);
}

TEST(FrepoGolden, AnIterationAndAStepOfThePoolAreTheAuthors) {
  expect_frepo("frepo", "wideconv-w4-d2-nonorm", "no");
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
  for (uint64_t k = 0; k < 3; ++k) c.draw_class(k, 4, RandomStream(kSeed, "kip.real", 0, k), rows);
  const RealBatch real = real_rows(c.real(), rows);
  golden.input("real", real.images);
  golden.input("targets", real.targets);
  c.objective->learned()[0].value.copy_(tests::hashed({6, 3}, 23));
  golden.input("label_values", c.objective->learned()[0].value.clone());
  const at::Tensor points = c.view.images.to(at::kDouble).flatten(1);
  for (const int64_t depth : {1, 2})
    golden.answer("kernel" + std::to_string(depth), tangent_kernel(points, points, depth), 1e-10);
  c.objective->begin(0, c.view);
  const Cotangents found = c.objective->evaluate(c.view, 0);
  golden.answer("loss", found.loss, 1e-6);
  golden.answer("d_images", found.images, kFloat);
  golden.answer("d_labels", found.learned[0], kFloat);
}

}  // namespace
}  // namespace retort::methods
