// Differentiable siamese augmentation. Long: what is drawn, what it does to images and the way
// back are one contract, and share their draws.
#include "augment/siamese.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/types.h>

#include <cmath>
#include <map>
#include <numbers>
#include <set>
#include <vector>

#include "augment/image_rows.h"
#include "augment/training_strategy.h"
#include "retort/core/error.h"
#include "support/golden_tensors.h"
#include "support/support.h"

namespace retort::augment {
namespace {

const std::string kAll = "color_crop_cutout_flip_scale_rotate";

at::Tensor noise(at::IntArrayRef sizes, uint64_t seed = 1) {
  at::Tensor values = at::empty(sizes, at::kFloat);
  RandomStream(seed, "test").fill_normal(values.data_ptr<float>(), values.numel());
  return values;
}

at::Tensor row_with(std::vector<std::pair<int64_t, float>> values) {
  at::Tensor row = identity();
  for (const auto& [index, value] : values) row[0][index] = value;
  return row;
}

at::Tensor picture(std::vector<float> values, int64_t height, int64_t width) {
  return at::tensor(values).view({1, 1, height, width});
}

/// Which operation a row shows by the columns that differ from identity; "" where none does.
std::string operation_of(const at::Tensor& row) {
  const at::Tensor used = row.view(-1).ne(identity().view(-1));
  const auto any = [&used](int64_t first, int64_t last) {
    return used.narrow(0, first, last - first + 1).any().item<bool>();
  };
  std::string found;
  if (any(kBrightness, kContrast)) found += "color";
  if (any(kShiftRows, kShiftColumns)) found += "crop";
  if (any(kBoxTop, kBoxRight)) found += "cutout";
  if (any(kFlip, kFlip)) found += "flip";
  if (any(1, 1)) found += "rotate";
  if (any(0, 0) && !any(1, 1)) found += "scale";
  return found;
}

// Colour and mirroring always, and just one of where things are.
TEST(SiameseStrategy, OnePlaceAtATime) {
  const Strategy strategy = parse_strategy("one-place:color_crop_flip_scale_rotate");
  std::map<std::string, int> seen;
  for (uint64_t i = 0; i < 300; ++i) {
    RandomStream stream(0, "test", i);
    const at::Tensor row = draw_shared(strategy, 32, 32, stream);
    std::string found = operation_of(row);
    ASSERT_TRUE(found.starts_with("color")) << found;
    found.erase(0, 5);
    if (const size_t flip = found.find("flip"); flip != std::string::npos) {
      ++seen["flip"];
      found.erase(flip, 4);
    }
    ++seen[found];
  }
  EXPECT_NEAR(seen["flip"], 150, 40);
  for (const char* place : {"crop", "scale", "rotate"}) EXPECT_NEAR(seen[place], 100, 35) << place;
  EXPECT_LE(seen.size(), 5u);  // and "" where a crop moves by nothing
}

TEST(SiameseStrategy, TrainingsMayMixAsWell) {
  EXPECT_EQ(parse_training_strategy("color_crop").cutmix, 0);
  const TrainingStrategy mixed = parse_training_strategy("one-place:crop_flip+cutmix");
  EXPECT_EQ(mixed.cutmix, 0.5);
  EXPECT_TRUE(mixed.siamese.one_place);
  EXPECT_EQ(mixed.siamese.operations, (std::vector<std::string>{"crop", "flip"}));
  EXPECT_THROW(parse_strategy("crop+cutmix"), ConfigError);  // matching mixes nothing
}

TEST(SiameseStrategy, ReadsWords) {
  EXPECT_EQ(parse_strategy(kAll).operations.size(), 6u);
  EXPECT_FALSE(parse_strategy(kAll).all);
  EXPECT_TRUE(parse_strategy("all:flip_crop").all);
  EXPECT_EQ(parse_strategy("all:flip_crop").operations, (std::vector<std::string>{"flip", "crop"}));
  EXPECT_TRUE(parse_strategy("none").operations.empty());
  EXPECT_TRUE(parse_strategy("").operations.empty());
}

TEST(SiameseStrategy, RefusesUnknownAndRepeatedWords) {
  tests::expect_error<ConfigError>([] { parse_strategy("color_cropp"); },
                                   {"cropp", "crop", "cutout", "rotate"});
  tests::expect_error<ConfigError>([] { parse_strategy("flip_flip"); }, {"flip", "twice"});
  EXPECT_THROW(parse_strategy("color__crop"), ConfigError);
  EXPECT_THROW(parse_strategy("color_"), ConfigError);
}

TEST(SiameseStrategy, DoesNotFlipDigits) {
  EXPECT_EQ(default_strategy(/*mirrorable=*/true), kAll);
  EXPECT_EQ(default_strategy(/*mirrorable=*/false), "color_crop_cutout_scale_rotate");
}

// The authors' functions with the draws that these rows stand for: tests/golden/README.md.
TEST(SiameseApply, IsTheAuthors) {
  for (const char* operation : {"color", "crop", "cutout", "flip", "scale", "rotate"})
    for (const bool shared : {false, true}) {
      tests::Golden golden(std::string("augment_") + operation + (shared ? "_shared" : ""));
      const at::Tensor images = tests::hashed({5, 3, 8, 8}, 1).mul(2);
      RandomStream draw(11, "test.golden");
      const at::Tensor rows = draw_each(parse_strategy(operation), shared ? 1 : 5, 8, 8, draw);
      golden.input("images", images);
      golden.input("rows", rows);
      golden.input("shared", at::full({1}, shared, at::kLong));
      const at::Tensor weights = tests::hashed({5, 3, 8, 8}, 2);
      for (const bool tensors : {false, true}) {
        const at::Tensor x = images.clone().requires_grad_(true);
        const at::Tensor seen = tensors ? apply_tensors(x, rows) : apply(x, rows);
        golden.answer("seen", seen, 1e-6);
        golden.answer("d_images", torch::autograd::grad({(seen * weights).sum()}, {x})[0], 1e-6);
      }
    }
}

TEST(SiameseDraw, PicksEachOperationEquallyOften) {
  const Strategy strategy = parse_strategy(kAll);
  RandomStream stream(3, "test");
  std::map<std::string, int> counts;
  for (int i = 0; i < 6000; ++i) ++counts[operation_of(draw_shared(strategy, 32, 32, stream))];
  // 1,000 of each with a deviation of 29; half of the flips, 500, leave the image as it is.
  for (const char* name : {"color", "scale", "rotate", "cutout"})
    EXPECT_NEAR(counts[name], 1000, 110) << name;
  EXPECT_NEAR(counts["crop"], 1000 * 80 / 81, 110);
  EXPECT_NEAR(counts["flip"], 500, 85);
  EXPECT_NEAR(counts[""], 500 + 1000 / 81, 85);
  EXPECT_EQ(counts.size(), 7u);
}

TEST(SiameseDraw, StaysInThePublishedRanges) {
  RandomStream stream(4, "test");
  const at::Tensor color = draw_each(parse_strategy("color"), 2000, 32, 32, stream);
  const std::vector<std::array<double, 3>> bounds = {
      {kBrightness, -0.5, 0.5}, {kSaturation, 0, 2}, {kContrast, 0.5, 1.5}};
  for (const auto& [column, low, high] : bounds) {
    const at::Tensor values = color.select(1, static_cast<int64_t>(column));
    EXPECT_GE(values.min().item<double>(), low);
    EXPECT_LE(values.max().item<double>(), high);
    EXPECT_NEAR(values.mean().item<double>(), (low + high) / 2, 0.05);
  }
  const at::Tensor scale = draw_each(parse_strategy("scale"), 2000, 32, 32, stream);
  EXPECT_GE(scale.select(1, 0).min().item<double>(), 1 / 1.2 - 1e-6);
  EXPECT_LE(scale.select(1, 4).max().item<double>(), 1.2 + 1e-6);
  EXPECT_FALSE(scale.select(1, 0).equal(scale.select(1, 4)));
  const at::Tensor rotate = draw_each(parse_strategy("rotate"), 2000, 32, 32, stream);
  const double most = std::sin(15 * std::numbers::pi / 180) + 1e-6;
  EXPECT_LE(rotate.select(1, 3).abs().max().item<double>(), most);
  EXPECT_GE(rotate.select(1, 3).abs().max().item<double>(), 0.98 * most);
  EXPECT_TRUE(rotate.select(1, 1).equal(-rotate.select(1, 3)));
  EXPECT_TRUE(rotate.select(1, 0).equal(rotate.select(1, 4)));
}

TEST(SiameseDraw, ShiftsAndBoxesTakeEveryValue) {
  RandomStream stream(5, "test");
  const at::Tensor crop = draw_each(parse_strategy("crop"), 3000, 28, 64, stream);
  std::set<float> rows, columns, tops, lefts;
  const at::Tensor cutout = draw_each(parse_strategy("cutout"), 3000, 32, 7, stream);
  for (int64_t n = 0; n < 3000; ++n) {
    rows.insert(crop[n][kShiftRows].item<float>());
    columns.insert(crop[n][kShiftColumns].item<float>());
    tops.insert(cutout[n][kBoxTop].item<float>());
    lefts.insert(cutout[n][kBoxLeft].item<float>());
  }
  EXPECT_EQ(rows.size(), 9u);  // -4..4 at 28
  EXPECT_EQ(*rows.begin(), -4);
  EXPECT_EQ(columns.size(), 17u);  // -8..8 at 64
  EXPECT_EQ(*tops.begin(), -8);    // size 16, centre 0..32
  EXPECT_EQ(tops.size(), 33u);
  EXPECT_TRUE((cutout.select(1, kBoxBottom) - cutout.select(1, kBoxTop)).eq(16).all().item<bool>());
  EXPECT_EQ(lefts.size(), 8u);  // size 4 at side 7: centres 0..7
  EXPECT_EQ(*lefts.begin(), -2);
}

TEST(SiameseDraw, MakesOneOperationPerMiniBatchWithParametersPerImage) {
  RandomStream stream(6, "test");
  for (int repeat = 0; repeat < 20; ++repeat) {
    const at::Tensor rows = draw_each(parse_strategy("color_crop_scale"), 64, 32, 32, stream);
    std::set<std::string> operations;
    for (int64_t n = 0; n < 64; ++n) operations.insert(operation_of(rows[n]));
    operations.erase("");  // a shift of (0, 0)
    EXPECT_EQ(operations.size(), 1u);
    EXPECT_FALSE(rows.narrow(0, 0, 8).eq(rows[8]).all().item<bool>());
  }
}

TEST(SiameseDraw, ComposesAllOperationsInOrder) {
  RandomStream both(7, "test"), apart(7, "test");
  const at::Tensor row = draw_shared(parse_strategy("all:scale_rotate"), 32, 32, both);
  const at::Tensor scale = draw_shared(parse_strategy("all:scale"), 32, 32, apart);
  const at::Tensor rotate = draw_shared(parse_strategy("all:rotate"), 32, 32, apart);
  // Scaled first, then rotated: a point of the result is turned, then scaled, to its source.
  const auto matrix = [](const at::Tensor& r) {
    return r.narrow(1, 0, 6).view({2, 3}).narrow(1, 0, 2);
  };
  EXPECT_TRUE(at::allclose(matrix(row), at::mm(matrix(scale), matrix(rotate)), 1e-6, 1e-6));
}

TEST(SiameseDraw, IsTheStreamsAlone) {
  RandomStream a(8, "test"), b(8, "test"), other(9, "test");
  const Strategy strategy = parse_strategy("all:" + kAll);
  const at::Tensor row = draw_shared(strategy, 32, 32, a);
  EXPECT_TRUE(row.equal(draw_shared(strategy, 32, 32, b)));
  EXPECT_FALSE(row.equal(draw_shared(strategy, 32, 32, other)));
  EXPECT_TRUE(draw_shared(parse_strategy("none"), 32, 32, a).equal(identity()));
}

TEST(SiameseApply, LeavesImagesExactlyAsTheyAreForIdentity) {
  const at::Tensor images = noise({4, 3, 9, 9}) * 1e3;
  EXPECT_TRUE(apply(images, identity()).equal(images));
  // Beside a neighbour that uses everything, so that no stage is passed over.
  RandomStream stream(10, "test");
  at::Tensor rows = identity().repeat({4, 1});
  rows[2] = draw_shared(parse_strategy("all:" + kAll), 9, 9, stream)[0];
  rows[2][kFlip] = 1;
  const at::Tensor changed = apply(images, rows);
  for (const int64_t n : {0, 1, 3}) EXPECT_TRUE(changed[n].equal(images[n]));
  EXPECT_FALSE(changed[2].equal(images[2]));
}

TEST(SiameseApply, ColorsByHand) {
  // Two channels, one pixel high, two wide: (1, 3) over (3, 5).
  const at::Tensor x = at::tensor({1.0f, 3.0f, 3.0f, 5.0f}).view({1, 2, 1, 2});
  const auto values = [&x](int64_t column, float value) {
    return apply(x, row_with({{column, value}})).flatten();
  };
  EXPECT_TRUE(values(kBrightness, 0.25f).equal(at::tensor({1.25f, 3.25f, 3.25f, 5.25f})));
  // Means over channels (2, 4): differences of -1 and 1 halve.
  EXPECT_TRUE(values(kSaturation, 0.5f).equal(at::tensor({1.5f, 3.5f, 2.5f, 4.5f})));
  // Mean of the image 3: differences -2, 0, 0, 2 grow by half.
  EXPECT_TRUE(values(kContrast, 1.5f).equal(at::tensor({0.0f, 3.0f, 3.0f, 6.0f})));
  // All three, in this order: + 1 gives (2, 4 | 4, 6); greyed gives (3, 5 | 3, 5); mean 4.
  const at::Tensor row = row_with({{kBrightness, 1}, {kSaturation, 0}, {kContrast, 2}});
  EXPECT_TRUE(apply(x, row).flatten().equal(at::tensor({2.0f, 6.0f, 2.0f, 6.0f})));
}

TEST(SiameseApply, DoesNotSaturateGreyImages) {
  const at::Tensor x = noise({2, 1, 4, 4});
  EXPECT_TRUE(at::allclose(apply(x, row_with({{kSaturation, 0.3f}})), x, 1e-6, 1e-6));
}

TEST(SiameseApply, ShiftsByHand) {
  const at::Tensor x = picture({1, 2, 3, 4, 5, 6, 7, 8, 9}, 3, 3);
  const at::Tensor row = row_with({{kShiftRows, 1}, {kShiftColumns, -1}});
  EXPECT_TRUE(apply(x, row).equal(picture({0, 4, 5, 0, 7, 8, 0, 0, 0}, 3, 3)));
}

TEST(SiameseApply, CutsABoxThenFlips) {
  const at::Tensor x = picture({1, 2, 3, 4, 5, 6, 7, 8, 9}, 3, 3);
  at::Tensor row = row_with({{kBoxTop, -1}, {kBoxBottom, 1}, {kBoxLeft, 1}, {kBoxRight, 3}});
  EXPECT_TRUE(apply(x, row).equal(picture({1, 0, 0, 4, 5, 6, 7, 8, 9}, 3, 3)));
  row[0][kFlip] = 1;
  EXPECT_TRUE(apply(x, row).equal(picture({0, 0, 1, 6, 5, 4, 9, 8, 7}, 3, 3)));
}

TEST(SiameseApply, TurnsCounterClockwiseForPositiveAngles) {
  const at::Tensor right = picture({0, 0, 0, 0, 0, 1, 0, 0, 0}, 3, 3);
  const at::Tensor quarter = row_with({{0, 0}, {1, -1}, {3, 1}, {4, 0}});
  const at::Tensor top = picture({0, 1, 0, 0, 0, 0, 0, 0, 0}, 3, 3);
  EXPECT_TRUE(at::allclose(apply(right, quarter), top, 1e-5, 1e-5));
}

TEST(SiameseApply, ShrinksForScalesAboveOne) {
  // Samples at +-0.5 and +-1.5 of a 4x4 image of ones: inside, and outside.
  const at::Tensor halved = apply(at::ones({1, 1, 4, 4}), row_with({{0, 2}, {4, 2}}));
  const at::Tensor middle = picture({0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0}, 4, 4);
  EXPECT_TRUE(at::allclose(halved, middle, 1e-6, 1e-6));
}

TEST(SiameseApply, TreatsEveryBatchSizeAlike) {
  const at::Tensor images = noise({256, 3, 32, 32});
  const Strategy strategy = parse_strategy(kAll);
  for (uint64_t seed = 0; seed < 20; ++seed) {
    RandomStream stream(seed, "test");
    const at::Tensor row = draw_shared(strategy, 32, 32, stream);
    const at::Tensor all = apply(images, row);
    for (const int64_t count : {7, 1}) {
      const at::Tensor some = apply(images.narrow(0, 0, count), row);
      EXPECT_TRUE(at::allclose(all.narrow(0, 0, count), some, 1e-6, 1e-6)) << seed;
    }
    const at::Tensor each = apply(images.narrow(0, 0, 7), row.expand({7, -1}));
    EXPECT_TRUE(at::allclose(all.narrow(0, 0, 7), each, 1e-6, 1e-6)) << seed;
  }
}

TEST(SiameseApply, ZeroesAsMuchAsPublished) {
  const at::Tensor ones = at::ones({500, 1, 32, 32});
  RandomStream stream(12, "test");
  const auto zeroed = [&](const char* strategy) {
    const at::Tensor rows = draw_each(parse_strategy(strategy), 500, 32, 32, stream);
    return apply(ones, rows).eq(0).to(at::kFloat).mean({1, 2, 3});
  };
  const at::Tensor crop = zeroed("crop");
  EXPECT_LE(crop.max().item<double>(), 1 - 28.0 * 28 / 1024 + 1e-6);  // 23.4 %
  const at::Tensor cutout = zeroed("cutout");
  EXPECT_GE(cutout.min().item<double>(), 0.0625);
  EXPECT_LE(cutout.max().item<double>(), 0.25);
  EXPECT_NEAR(cutout.mean().item<double>(), 0.185, 0.01);
}

TEST(SiameseApply, PassesGradientsThatFiniteDifferencesConfirm) {
  RandomStream stream(13, "test");
  at::Tensor rows = draw_each(parse_strategy("all:" + kAll), 3, 6, 6, stream).to(at::kDouble);
  rows[1] = identity().to(at::kDouble)[0];
  const at::Tensor start = noise({3, 2, 6, 6}, 14).to(at::kDouble);
  const at::Tensor weights = noise({3, 2, 6, 6}, 15).to(at::kDouble);
  const auto value = [&](const at::Tensor& x) { return (apply(x, rows) * weights).sum(); };
  const at::Tensor x = start.clone().requires_grad_();
  const at::Tensor gradient = torch::autograd::grad({value(x)}, {x})[0].flatten();
  for (int64_t i = 0; i < gradient.numel(); i += 5) {
    at::Tensor step = at::zeros_like(start);
    step.view(-1)[i] = 1e-4;
    const double difference = (value(start + step) - value(start - step)).item<double>() / 2e-4;
    EXPECT_NEAR(gradient[i].item<double>(), difference, 1e-7);
  }
}

TEST(SiameseApply, DoesToImagesAndCotangentsWhatTensorOperationsDo) {
  RandomStream stream(9, "test");
  const Strategy strategy = parse_strategy("all:" + kAll);
  const at::Tensor each = draw_each(strategy, 5, 9, 12, stream);
  for (const at::ScalarType type : {at::kFloat, at::kDouble})
    for (const at::Tensor& rows : {each, each.narrow(0, 2, 1)}) {
      const at::Tensor x = noise({5, 3, 9, 12}).to(type).requires_grad_(true);
      const at::Tensor found = apply_rows(x, rows), wanted = apply_tensors(x, rows);
      const double close = type == at::kFloat ? 1e-4 : 1e-6;  // rows are float32
      EXPECT_TRUE(at::allclose(found, wanted, close, close));
      const at::Tensor cotangent = noise({5, 3, 9, 12}, 4).to(type);
      const auto pulled = torch::autograd::grad({found}, {x}, {cotangent});
      EXPECT_TRUE(at::allclose(pulled[0], torch::autograd::grad({wanted}, {x}, {cotangent})[0],
                               close, close));
    }
}

TEST(SiamesePullback, IsAutogradsToTheBit) {
  RandomStream stream(9, "test");
  const at::Tensor drawn = draw_each(parse_strategy("all:" + kAll), 5, 9, 12, stream);
  const at::Tensor some = at::cat({identity(), drawn.narrow(0, 1, 4)});
  for (const at::ScalarType type : {at::kFloat, at::kDouble})
    for (const at::Tensor& rows : {drawn, some, drawn.narrow(0, 2, 1), identity()}) {
      const at::Tensor x = noise({5, 3, 9, 12}).to(type).requires_grad_(true);
      const at::Tensor cotangent = noise({5, 3, 9, 12}, 4).to(type);
      const auto by_autograd = [&](const at::Tensor& seen) {
        return torch::autograd::grad({seen}, {x}, {cotangent})[0];
      };
      EXPECT_TRUE(pullback(rows, cotangent).equal(by_autograd(apply(x, rows))));
      EXPECT_TRUE(pullback_tensors(cotangent, rows).equal(by_autograd(apply_tensors(x, rows))));
    }
}

TEST(SiamesePullback, TakesNoRowsAndRefusesThoseThatDoNotFit) {
  EXPECT_EQ(pullback(identity(), at::zeros({0, 3, 4, 4})).sizes(), at::IntArrayRef({0, 3, 4, 4}));
  EXPECT_THROW(pullback(identity().repeat({2, 1}), at::zeros({3, 3, 4, 4})), c10::Error);
}

TEST(SiameseApply, RefusesRowsThatFitNeitherWay) {
  EXPECT_THROW(apply(noise({3, 1, 4, 4}), identity().repeat({2, 1})), c10::Error);
}

TEST(SiameseGpu, AgreesWithTheProcessor) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no CUDA device";
  const at::Tensor images = noise({8, 3, 32, 32});
  RandomStream stream(16, "test");
  const at::Tensor rows = draw_each(parse_strategy("all:" + kAll), 8, 32, 32, stream);
  const at::Tensor there = apply(images.cuda(), rows).cpu();
  EXPECT_TRUE(at::allclose(apply(images, rows), there, 1e-4, 1e-4));
  EXPECT_TRUE(apply(images.cuda(), identity()).cpu().equal(images));
  const at::Tensor back = pullback(rows, images.cuda()).cpu();
  EXPECT_TRUE(at::allclose(pullback(rows, images), back, 1e-4, 1e-4));
}

}  // namespace
}  // namespace retort::augment
