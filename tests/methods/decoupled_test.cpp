// Recovery of images, against values worked out by hand, finite differences and each other.
#include "methods/decoupled/decoupled.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <set>

#include "methods/decoupled/groups.h"
#include "methods/recovery_setting.h"
#include "retort/core/error.h"
#include "support/golden.h"
#include "support/support.h"

namespace retort::methods {
namespace {

using Rows = std::vector<int64_t>;

TEST(Groups, CrossClassesTakeOneImageOfEachClass) {
  const std::vector<int64_t> offsets{0, 2, 4, 5};  // two, two and one image
  EXPECT_EQ(make_groups(offsets, "cross_class", 100), (std::vector<Rows>{{0, 2, 4}, {1, 3}}));
  EXPECT_EQ(make_groups(offsets, "cross_class", 2), (std::vector<Rows>{{0, 2}, {4}, {1, 3}}));
  EXPECT_EQ(make_groups(offsets, "class_wise", 100), (std::vector<Rows>{{0, 1}, {2, 3}, {4}}));
  EXPECT_EQ(make_groups(offsets, "mixed", 3), (std::vector<Rows>{{0, 1, 2}, {3, 4}}));
}

TEST(Curriculum, FallsFromTheWholeImageToTheSmallestCrop) {
  EXPECT_NEAR(min_crop_area_at("cosine", 0.08, 1, 0, 100), 1, 1e-12);
  EXPECT_NEAR(min_crop_area_at("cosine", 0.08, 1, 50, 100), 0.54, 1e-12);
  EXPECT_NEAR(min_crop_area_at("cosine", 0.08, 1, 100, 100), 0.08, 1e-12);
  EXPECT_NEAR(min_crop_area_at("linear", 0.08, 0.5, 25, 100), 0.54, 1e-12);
  EXPECT_EQ(min_crop_area_at("linear", 0.08, 0.5, 60, 100), 0.08);
  EXPECT_EQ(min_crop_area_at("step", 0.08, 0.5, 49, 100), 1);
  EXPECT_EQ(min_crop_area_at("step", 0.08, 0.5, 50, 100), 0.08);
  EXPECT_EQ(min_crop_area_at("fixed", 0.08, 1, 0, 100), 0.08);
}

using Setting = RecoverySetting;

TEST(Recovery, DerivativeThroughCropFlipAndRollIsThatOfFiniteDifferences) {
  Setting setting;
  for (const char* unit : {"raw", "scale_free"}) {
    setting.options.statistics_unit = unit;
    setting.options.statistics_weight = 0.5;
    at::Tensor direction = at::empty({6, 3, 8, 8});
    RandomStream(5, "test").fill_normal(direction.data_ptr<float>(), direction.numel());
    direction = direction.to(at::kDouble);
    const double step = 1e-6;
    const double above = setting.at(setting.images + step * direction).loss,
                 below = setting.at(setting.images - step * direction).loss;
    // The loss that is printed is the mean over two groups; gradients are of each group's own.
    const double slope = (setting.at(setting.images).images * direction).sum().item<double>() / 2;
    EXPECT_NEAR(slope, (above - below) / (2 * step), 1e-6 * std::abs(slope) + 1e-7) << unit;
  }
}

TEST(Recovery, IsThePublishedLossBehindCropFlipAndRoll) {
  const nlohmann::json golden = tests::golden("recovery");
  teachers::Teacher teacher = tests::toy_teacher();
  teacher.network = "convnet-w2-d2-bn";
  teacher.theta = tests::golden_tensor(golden.at("theta"), {129}).to(at::kFloat);
  teacher.state = tests::golden_tensor(golden.at("state"), {8}).to(at::kFloat);
  const tests::TempFolder folder;
  Setting setting;
  setting.layout.counts = {1, 1, 1};
  setting.options.teacher = (folder / "t.safetensors").string();
  setting.options.statistics_weight = 0.01;
  teachers::write_teacher(setting.options.teacher, teacher);
  Recovery recovery(setting.context(), setting.options);
  const SyntheticSet set{tests::golden_tensor(golden.at("images"), {3, 3, 8, 8}),
                         setting.layout.labels(), setting.layout.offsets()};
  recovery.begin(30, set);
  const augment::Crop crop = recovery.crops_of(0).front();
  EXPECT_EQ(golden.at("window").get<std::vector<int64_t>>(),
            (std::vector<int64_t>{crop.top, crop.left, crop.height, crop.width, crop.flip ? 1 : 0,
                                  crop.roll_rows, crop.roll_columns}));
  const Cotangents found = recovery.evaluate(set, 0);
  EXPECT_NEAR(found.loss, golden.at("loss").get<double>(), 1e-6);
  const at::Tensor gradient = tests::golden_tensor(golden.at("gradient"), {3, 3, 8, 8});
  EXPECT_LT((found.images - gradient).abs().max().item<double>(), 1e-7);
}

TEST(Recovery, AGroupSharesOneCropOfTheAskedRange) {
  Setting setting;
  for (const bool both_ways : {false, true}) {
    setting.options.roll_both_ways = both_ways;
    setting.options.min_crop_area = 0.5;
    Recovery recovery(setting.context(), setting.options);
    std::set<int64_t> rows, columns;
    int flips = 0;
    for (int64_t iteration = 0; iteration < 100; ++iteration) {
      recovery.begin(iteration, {});
      const auto crops = recovery.crops_of(0), others = recovery.crops_of(1);
      ASSERT_EQ(crops.size(), 3u);
      for (const augment::Crop& one : crops) {
        EXPECT_EQ(one.top, crops[0].top);
        EXPECT_EQ(one.left, crops[0].left);
        EXPECT_EQ(one.height * one.width, crops[0].height * crops[0].width);
        EXPECT_EQ(one.flip, crops[0].flip);
        EXPECT_EQ(one.roll_rows, crops[0].roll_rows);
      }
      EXPECT_GE(crops[0].height * crops[0].width, 27);  // half of 64, rounded by side
      rows.insert(crops[0].roll_rows);
      columns.insert(crops[0].roll_columns);
      flips += crops[0].flip ? 1 : 0;
    }
    // random.randint(0, 3) of the ImageNet code, random.randint(-3, 3) of the Tiny-ImageNet code.
    const std::set<int64_t> range =
        both_ways ? std::set<int64_t>{-3, -2, -1, 0, 1, 2, 3} : std::set<int64_t>{0, 1, 2, 3};
    EXPECT_EQ(rows, range);
    EXPECT_EQ(columns, range);
    EXPECT_NEAR(flips, 50, 25);
  }
}

TEST(Recovery, ImagesHaveCropsOfTheirOwnWhereAsked) {
  Setting setting;
  setting.options.crop_share = "image";
  Recovery recovery(setting.context(), setting.options);
  int equal = 0;
  for (int64_t iteration = 0; iteration < 20; ++iteration) {
    recovery.begin(iteration, {});
    const auto crops = recovery.crops_of(0);
    equal += crops[0].top == crops[1].top && crops[0].height == crops[1].height &&
                     crops[0].roll_rows == crops[1].roll_rows
                 ? 1
                 : 0;
  }
  EXPECT_LT(equal, 10);
}

TEST(Recovery, SeveralGroupsInOnePassAreWhatEachIsByItself) {
  Setting setting;
  const Cotangents one = setting.at(setting.images);
  setting.options.groups_at_once = 2;
  const Cotangents two = setting.at(setting.images);
  EXPECT_NEAR(one.loss, two.loss, 1e-10);
  EXPECT_TRUE(at::allclose(one.images, two.images, 0, 1e-10));
}

TEST(Recovery, GroupsDoNotSeeEachOther) {
  Setting setting;
  const at::Tensor before = setting.at(setting.images).images;
  at::Tensor other = setting.images.clone();
  for (const int64_t row : {1, 3, 5}) other[row].mul_(2);  // the second group
  const at::Tensor after = setting.at(other).images;
  for (const int64_t row : {0, 2, 4}) EXPECT_TRUE(before[row].equal(after[row]));
  for (const int64_t row : {1, 3, 5}) EXPECT_FALSE(before[row].equal(after[row]));
}

TEST(Recovery, StatisticsOfTheVeryBatchAreNoDistance) {
  Setting setting;
  setting.options.crop_schedule = "none";
  setting.options.crop_flip = false;
  setting.options.roll = 0;
  setting.options.group_size = 6;
  setting.options.grouping = "mixed";
  teachers::Teacher teacher = tests::toy_teacher();
  // Layer after layer: what enters the second depends on what the first keeps.
  const auto network = teacher.build();
  const at::Tensor x = setting.images.to(at::kFloat);
  for (const teachers::NormLayer& layer : teachers::norm_layers(*network)) {
    const auto seen = network->observe(
        {teacher.theta, teacher.state, x, {}, nets::NormMode::kFrozen}, {layer.name + ".input"});
    const losses::Moments found = losses::moments(seen.taps.at(layer.name + ".input"));
    teacher.state.narrow(0, layer.mean, layer.channels).copy_(found.mean);
    teacher.state.narrow(0, layer.variance, layer.channels).copy_(found.variance);
  }
  const tests::TempFolder folder;
  setting.options.teacher = (folder / "t.safetensors").string();
  teachers::write_teacher(setting.options.teacher, teacher);
  const double with = setting.at(setting.images).loss;
  setting.options.statistics_weight = 0;
  EXPECT_NEAR(with, setting.at(setting.images).loss, 1e-5);
}

/// The toy teacher with its first convolution, and what follows it, scaled: the same function.
teachers::Teacher scaled_teacher(double c) {
  teachers::Teacher teacher = tests::toy_teacher();
  const auto network = teacher.build();
  const teachers::NormLayer first = teachers::norm_layers(*network).front();
  for (const char* part : {".weight", ".bias"}) {
    const nets::Slot& slot = network->parameters().find(first.conv + part);
    teacher.theta.narrow(0, slot.offset, slot.count).mul_(c);
  }
  teacher.state.narrow(0, first.mean, first.channels).mul_(c);
  teacher.state.narrow(0, first.variance, first.channels).mul_(c * c);
  return teacher;
}

TEST(Recovery, ATeacherScaledLayerByLayerHasTheSameLogitsAndScaleFreeStatistics) {
  Setting setting;
  const tests::TempFolder folder;
  const std::string scaled = (folder / "t.safetensors").string();
  teachers::write_teacher(scaled, scaled_teacher(3));
  const auto open = [&](const std::string& file) {
    return teachers::open_teacher(file, "test", setting.data, at::kCPU);
  };
  const at::Tensor x = setting.images.to(at::kFloat);
  EXPECT_TRUE(
      at::allclose(open(scaled).logits(x), open(setting.options.teacher).logits(x), 0, 1e-4));
  const auto loss = [&](const std::string& unit, const std::string& teacher) {
    setting.options.statistics_unit = unit;
    setting.options.teacher = teacher;
    return setting.at(setting.images).loss;
  };
  const std::string plain = tests::toy_teacher_file();
  EXPECT_NEAR(loss("scale_free", scaled), loss("scale_free", plain), 1e-4);
  EXPECT_GT(std::abs(loss("raw", scaled) - loss("raw", plain)), 0.01);
}

TEST(Recovery, RefusesTeachersThatDoNotFit) {
  Setting setting;
  setting.options.teacher.clear();
  tests::expect_error<ConfigError>([&] { setting.at(setting.images); },
                                   {"no teacher", "--teacher", "squeeze"});
  setting.options.teacher = tests::toy_teacher_file("convnet-w4-d2");
  tests::expect_error<ConfigError>([&] { setting.at(setting.images); }, {"no BatchNorm"});
  setting.options.teacher = tests::toy_teacher_file();
  setting.options.layer_weights = {"1"};
  tests::expect_error<ConfigError>([&] { setting.at(setting.images); }, {"--layer-weights", "2"});
  setting.data.class_names[0] = "another";
  setting.options.layer_weights.clear();
  tests::expect_error<StateError>([&] { setting.at(setting.images); }, {"another"});
}

TEST(Recovery, IsIdentifiedByItsTeacher) {
  Setting setting;
  const std::string began = Recovery(setting.context(), setting.options).identity();
  EXPECT_EQ(began, "teacher " + teachers::open_teacher(setting.options.teacher, "", setting.data,
                                                       at::Device(at::kCPU))
                                    .hash);
  const tests::TempFolder folder;
  teachers::Teacher other = teachers::read_teacher(setting.options.teacher);
  other.theta = other.theta + 1;
  setting.options.teacher = (folder / "t.safetensors").string();
  teachers::write_teacher(setting.options.teacher, other);
  EXPECT_NE(Recovery(setting.context(), setting.options).identity(), began);
}

}  // namespace
}  // namespace retort::methods
