// Mosaics of patches, and the teachers that the methods refuse.
#include <gtest/gtest.h>

#include "methods/decoupled/decoupled.h"
#include "methods/decoupled/patches.h"
#include "methods/recovery_setting.h"
#include "retort/core/error.h"
#include "support/golden.h"
#include "support/support.h"

namespace retort::methods {
namespace {

using Setting = RecoverySetting;

TEST(Rded, ChoosesRanksAndTilesAsThePublishedCodeDoes) {
  const nlohmann::json golden = tests::golden("rded");
  const at::Tensor patches = tests::golden_tensor(golden.at("patches"), {3, 9, 3, 2, 2});
  const at::Tensor weight = tests::golden_tensor(golden.at("teacher"), {3, 48}) / 50;
  EXPECT_TRUE(padded(patches[0].narrow(0, 0, 1), 5, 5)
                  .equal(tests::golden_tensor(golden.at("padded"), {1, 3, 5, 5})));
  const at::Tensor seen = padded(patches.flatten(0, 1), 4, 4).flatten(1) / 50;
  const at::Tensor losses =
      losses::row_losses(at::matmul(seen, weight.t()), {at::ones({27}, at::kLong)}).view({3, 9});
  EXPECT_TRUE(at::allclose(losses, tests::golden_tensor(golden.at("losses"), {3, 9}), 0, 1e-5));
  const at::Tensor chosen = choose_patches({patches, losses}, 8, "easiest");
  EXPECT_TRUE(chosen.equal(tests::golden_tensor(golden.at("chosen"), {8, 3, 2, 2})));
  EXPECT_TRUE(tiled(chosen, 2).equal(tests::golden_tensor(golden.at("mosaics"), {2, 3, 4, 4})));
}

TEST(Rded, MediumPatchesLieAboutTheMiddleOfTheRanks) {
  const at::Tensor patches = at::arange(7, at::kFloat).view({1, 7, 1, 1, 1});
  const at::Tensor losses = at::tensor({3.f, 6.f, 1.f, 0.f, 5.f, 2.f, 4.f}).view({1, 7});
  // Ranks 2, 3 and 4 of seven.
  EXPECT_TRUE(
      choose_patches({patches, losses}, 3, "medium").flatten().equal(at::tensor({5.f, 0.f, 6.f})));
}

TEST(Rded, MosaicsAreOfTheAskedShapeAndOfTheirClass) {
  Setting setting;
  const auto teacher =
      teachers::open_teacher(setting.options.teacher, "test", setting.data, at::kCPU);
  PatchOptions options;
  options.mosaic = 2;
  const at::Tensor images = compose_patches(setting.context(), teacher, options);
  EXPECT_EQ(images.sizes(), at::IntArrayRef({6, 3, 8, 8}));
  // Class c of the toy set is brighter in channel c.
  for (int64_t row = 0; row < 6; ++row)
    EXPECT_EQ(images[row].mean({1, 2}).argmax().item<int64_t>(), row / 2);
}

TEST(Rded, TheEasiestPatchesHaveALowerLossThanMediumOnes) {
  Setting setting;
  const auto teacher =
      teachers::open_teacher(setting.options.teacher, "test", setting.data, at::kCPU);
  const auto loss = [&](const char* choice) {
    PatchOptions options;
    options.choice = choice;
    const at::Tensor images = compose_patches(setting.context(), teacher, options);
    return losses::mean_loss(teacher.logits(images), {setting.layout.labels()}).item<double>();
  };
  EXPECT_LT(loss("easiest"), loss("medium"));
}

TEST(Rded, RefusesMosaicsThatDoNotFit) {
  Setting setting;
  PatchOptions options;
  options.mosaic = 3;
  tests::expect_error<ConfigError>([&] { check_patches(setting.context(), options); },
                                   {"--mosaic 3", "8x8"});
  options.mosaic = 4;
  tests::expect_error<ConfigError>([&] { check_patches(setting.context(), options); },
                                   {"12 training images", "at least 32"});
}

TEST(Scdd, RefusesATeacherTrainedWithLabels) {
  Setting setting;
  teachers::Teacher teacher = tests::toy_teacher();
  teacher.objective = "supervised";
  const tests::TempFolder folder;
  const std::string file = (folder / "t.safetensors").string();
  teachers::write_teacher(file, teacher);
  const auto method = make_scdd();
  OptionSet set;
  method->declare(set);
  Problems problems;
  set.set("teacher", file, "test", problems);
  tests::expect_error<ConfigError>([&] { method->objective(setting.context()); },
                                   {"trained with labels", "sre2l"});
}

}  // namespace
}  // namespace retort::methods
