#include "retort/data/dataset.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "retort/core/error.h"
#include "support/support.h"

namespace retort::data {
namespace {

/// `per_class` images of two classes, 1x1x2 pixels, all different in their first pixel.
RawImages make_images(int64_t per_class, uint8_t second) {
  RawImages images;
  for (int64_t i = 0; i < 2 * per_class; ++i) {
    images.pixels.push_back(static_cast<uint8_t>(i));
    images.pixels.push_back(second);
    images.labels.push_back(i % 2);
  }
  return images;
}

RawDataset make_raw(int64_t per_class = 10, bool with_test = true) {
  RawDataset raw;
  raw.name = "toy";
  raw.reader = "a toy";
  raw.channels = raw.height = 1;
  raw.width = 2;
  raw.class_names = {"even", "odd"};
  raw.train = make_images(per_class, 255);
  if (with_test) raw.test = make_images(2, 0);
  return raw;
}

std::set<int> first_pixels(const Split& split) {
  std::set<int> values;
  for (int64_t n = 0; n < split.size(); ++n) values.insert(split.images[n][0][0][0].item<int>());
  return values;
}

TEST(MakeSplit, ListsTheRowsOfEachClassInOrder) {
  const Split split =
      make_split(at::zeros({4, 1, 1, 1}, at::kByte), at::tensor({2, 0, 2, 0}, at::kLong), 3);
  EXPECT_EQ(split.size(), 4);
  EXPECT_EQ(split.rows_by_class, (std::vector<std::vector<int64_t>>{{1, 3}, {}, {0, 2}}));
  EXPECT_THROW(make_split(split.images, split.labels, 2), c10::Error);
}

/// One part as tensors that own their memory.
Split held(const RawImages& part) {
  const auto count = std::ssize(part.labels);
  return make_split(at::tensor(part.pixels, at::kByte).view({count, 1, 1, 2}),
                    at::tensor(part.labels, at::kLong), 2);
}

TEST(PrepareDataset, TakesImagesThatLieInMemoryWithoutACopy) {
  const RawDataset raw = make_raw();
  RawDataset about = raw;
  about.train = about.test = {};
  const Split train = held(raw.train);
  const Dataset set = prepare_dataset(about, train, held(raw.test), {});
  const Dataset read = prepare_dataset(raw, {});
  EXPECT_EQ(set.train.images.data_ptr(), train.images.data_ptr());
  EXPECT_EQ(set.hash, read.hash);
  EXPECT_EQ(set.split, read.split);
  EXPECT_EQ(set.preprocessing.mean(), read.preprocessing.mean());
  EXPECT_TRUE(set.test.images.equal(read.test.images));
  const Dataset split = prepare_dataset(about, train, held({}), {});
  EXPECT_TRUE(split.test.images.equal(prepare_dataset(make_raw(10, false), {}).test.images));
}

TEST(PrepareDataset, KeepsWhatTheReaderFound) {
  const Dataset set = prepare_dataset(make_raw(), {});
  EXPECT_EQ(set.name, "toy");
  EXPECT_EQ(set.reader, "a toy");
  EXPECT_EQ(set.classes(), 2);
  EXPECT_EQ(set.train.images.sizes(), at::IntArrayRef({20, 1, 1, 2}));
  EXPECT_EQ(set.test.size(), 4);
  EXPECT_EQ(set.validation.size(), 0);
  EXPECT_EQ(set.train.rows_by_class[1][2], 5);
  EXPECT_TRUE(set.notes.empty());
}

TEST(PrepareDataset, MeasuresMeanAndDeviationPerChannel) {
  RawDataset raw = make_raw();
  raw.channels = 2;
  raw.width = 1;  // channel 0: 0..19; channel 1: 255 throughout
  const Dataset set = prepare_dataset(std::move(raw), {});
  const Preprocessing& fitted = set.preprocessing;
  EXPECT_EQ(fitted.kind(), "mean_std");
  EXPECT_NEAR(fitted.mean()[0], 9.5 / 255, 1e-12);
  EXPECT_NEAR(fitted.deviation()[0], std::sqrt(33.25) / 255, 1e-12);  // (20^2 - 1) / 12
  EXPECT_NEAR(fitted.mean()[1], 1, 1e-12);
  EXPECT_EQ(fitted.deviation()[1], 1);  // a constant channel is only centred
}

TEST(PrepareDataset, TakesPublishedValuesUnlessAskedToCompute) {
  RawDataset raw = make_raw();
  raw.published = Normalisation{{0.25}, {0.5}};
  DataOptions options;
  EXPECT_EQ(prepare_dataset(raw, options).preprocessing.mean()[0], 0.25);
  options.normalisation = "computed";
  EXPECT_NE(prepare_dataset(raw, options).preprocessing.mean()[0], 0.25);
  options.normalisation = "none";
  EXPECT_EQ(prepare_dataset(raw, options).preprocessing.kind(), "none");
  options.normalisation = "zca";
  EXPECT_EQ(prepare_dataset(raw, options).preprocessing.kind(), "zca");
}

TEST(PrepareDataset, TakesMeanAndDeviationOfOtherSetsOrByNumber) {
  RawDataset raw = make_raw();
  raw.channels = 3;
  raw.width = 1;
  raw.train.pixels.resize(60);
  raw.test.pixels.resize(12);
  raw.published = Normalisation{{0.5071, 0.4866, 0.4409}, {0.2673, 0.2564, 0.2762}};
  DataOptions options;
  options.normalisation = "cifar10";
  const Dataset like_cifar10 = prepare_dataset(raw, options);
  EXPECT_EQ(like_cifar10.preprocessing.kind(), "mean_std");
  EXPECT_EQ(like_cifar10.preprocessing.mean(), (std::vector<double>{0.4914, 0.4822, 0.4465}));
  EXPECT_EQ(like_cifar10.preprocessing.deviation(), (std::vector<double>{0.2023, 0.1994, 0.2010}));
  options.normalisation = "imagenet";
  EXPECT_EQ(prepare_dataset(raw, options).preprocessing.deviation(),
            (std::vector<double>{0.229, 0.224, 0.225}));
  options.normalisation = "given";
  options.mean_and_deviation = {"0.5", "0.25", "1e-1", "0.5", "1", "2"};
  EXPECT_EQ(prepare_dataset(raw, options).preprocessing.mean(),
            (std::vector<double>{0.5, 0.25, 0.1}));
  EXPECT_EQ(prepare_dataset(raw, options).preprocessing.deviation(),
            (std::vector<double>{0.5, 1, 2}));
}

TEST(PrepareDataset, RefusesNumbersThatDoNotFit) {
  DataOptions options;
  const auto refused = [&](std::vector<std::string> message) {
    tests::expect_error<ConfigError>([&] { prepare_dataset(make_raw(), options); }, message);
  };
  options.normalisation = "imagenet";
  refused({"three channels", "have 1"});
  options.normalisation = "given";
  refused({"has 0 numbers", "2 numbers"});
  options.mean_and_deviation = {"0.5", "0"};
  refused({"not above 0"});
  options.mean_and_deviation = {"half", "1"};
  refused({"'half'", "no number"});
  for (const char* other : {"auto", "none", "zca"}) {
    options.normalisation = other;
    refused({"--normalisation given"});
  }
}

TEST(PrepareDataset, NamesImagenetsValuesForItsClasses) {
  RawDataset raw = make_raw();
  raw.class_ids = {"n01440764", "n02102040"};
  const Dataset set = prepare_dataset(raw, {});
  ASSERT_EQ(set.notes.size(), 1u);
  EXPECT_NE(set.notes[0].find("--normalisation imagenet"), std::string::npos);
  EXPECT_EQ(set.class_ids, raw.class_ids);
  raw.published = Normalisation{{0.5}, {0.5}};
  EXPECT_TRUE(prepare_dataset(raw, {}).notes.empty());
}

TEST(PrepareDataset, MirrorsNoCharacters) {
  RawDataset raw = make_raw();
  for (const char* name : {"cifar10", "fashion-mnist", "shapes"}) {
    raw.name = name;
    EXPECT_TRUE(prepare_dataset(raw, {}).mirrorable) << name;
  }
  raw.mirrorable = false;
  EXPECT_FALSE(prepare_dataset(raw, {}).mirrorable) << "its reader says so";
  raw.mirrorable = true;
  for (const char* name : {"mnist", "emnist", "kmnist", "qmnist", "usps", "svhn"}) {
    raw.name = name;
    EXPECT_FALSE(prepare_dataset(raw, {}).mirrorable) << name;
  }
}

TEST(PrepareDataset, NamesClassesWithoutATestImage) {
  RawDataset raw = make_raw(10, false);
  raw.class_names.push_back("rare");
  raw.train.pixels.insert(raw.train.pixels.end(), {99, 99});
  raw.train.labels.push_back(2);
  const Dataset set = prepare_dataset(raw, {});
  ASSERT_EQ(set.notes.size(), 2u);
  EXPECT_EQ(set.notes[1], "1 of 3 classes without a test image: 'rare' (1 training image)");
}

TEST(PrepareDataset, NamesImagesThatStandInBothPartsOrUnderTwoLabels) {
  RawDataset raw = make_raw();
  // Rows 0 and 3 of the test part become rows 4 ("even") and 7 ("odd") of the training part; rows
  // 1 ("odd") and 2 ("even") of the training part become one image.
  std::copy_n(raw.train.pixels.begin() + 8, 2, raw.test.pixels.begin());
  std::copy_n(raw.train.pixels.begin() + 14, 2, raw.test.pixels.begin() + 6);
  std::copy_n(raw.train.pixels.begin() + 2, 2, raw.train.pixels.begin() + 4);
  const Dataset set = prepare_dataset(raw, {});
  EXPECT_EQ(set.notes, (std::vector<std::string>{
                           "2 of 4 test images are training images as well (the same pixels), the "
                           "first of class 'even'",
                           "1 training image stands under two labels (the same pixels), the first "
                           "under 'odd' and 'even'"}));
}

TEST(PrepareDataset, CachesZcaByImagesAndSettings) {
  const tests::TempFolder cache;
  DataOptions options;
  options.normalisation = "zca";
  const auto files = [&cache] {
    return std::distance(std::filesystem::directory_iterator(cache.path()), {});
  };
  prepare_dataset(make_raw(), options, cache.path());
  prepare_dataset(make_raw(), options, cache.path());
  EXPECT_EQ(files(), 1);
  options.zca_epsilon = 0.2;
  prepare_dataset(make_raw(), options, cache.path());
  options.validation_fraction = 0.2;
  prepare_dataset(make_raw(), options, cache.path());
  prepare_dataset(make_raw(11), options, cache.path());
  EXPECT_EQ(files(), 4);
}

TEST(PrepareDataset, SplitsATestPartOffEveryClass) {
  DataOptions options;
  options.test_fraction = 0.3;
  const Dataset set = prepare_dataset(make_raw(10, false), options);
  EXPECT_EQ(set.train.size(), 14);
  EXPECT_EQ(set.test.rows_by_class[0].size(), 3u);
  EXPECT_EQ(set.test.rows_by_class[1].size(), 3u);
  std::set<int> all = first_pixels(set.train);
  for (const int value : first_pixels(set.test)) EXPECT_TRUE(all.insert(value).second);
  EXPECT_EQ(all.size(), 20u);
  for (int64_t n = 0; n < set.test.size(); ++n)  // labels travel with their images
    EXPECT_EQ(set.test.images[n][0][0][0].item<int>() % 2, set.test.labels[n].item<int>());
  ASSERT_EQ(set.notes.size(), 1u);
  EXPECT_NE(set.notes[0].find("30 %"), std::string::npos);
}

TEST(PrepareDataset, SplitsBySeed) {
  DataOptions options;
  const auto tested = [&] {
    return first_pixels(prepare_dataset(make_raw(50, false), options).test);
  };
  const std::set<int> first = tested();
  EXPECT_EQ(first, tested());
  options.split_seed = 1;
  EXPECT_NE(first, tested());
}

TEST(PrepareDataset, HoldsAValidationPartBack) {
  DataOptions options;
  options.validation_fraction = 0.2;
  const Dataset set = prepare_dataset(make_raw(), options);
  EXPECT_EQ(set.train.size(), 16);
  EXPECT_EQ(set.validation.rows_by_class[0].size(), 2u);
  EXPECT_EQ(set.validation.rows_by_class[1].size(), 2u);
  EXPECT_EQ(set.test.size(), 4);
  const std::set<int> trained = first_pixels(set.train);
  for (const int value : first_pixels(set.validation)) EXPECT_EQ(trained.count(value), 0u);
}

TEST(PrepareDataset, LeavesTrainingImagesInSmallClasses) {
  DataOptions options;
  options.test_fraction = 0.9;
  const Dataset set = prepare_dataset(make_raw(2, false), options);
  EXPECT_EQ(set.train.rows_by_class[0].size(), 1u);
  EXPECT_EQ(set.test.rows_by_class[0].size(), 1u);
}

TEST(PrepareDataset, RefusesToDoWithoutATestPart) {
  DataOptions options;
  options.data = "a/folder";
  tests::expect_error<DataError>([&] { prepare_dataset(make_raw(1, false), options); },
                                 {"a/folder", "no test part", "two images"});
  options.test_fraction = 0;
  tests::expect_error<ConfigError>([&] { prepare_dataset(make_raw(5, false), options); },
                                   {"a/folder", "no test part", "test_fraction"});
}

TEST(PrepareDataset, HashesPixelsLabelsAndNames) {
  const std::string hash = prepare_dataset(make_raw(), {}).hash;
  EXPECT_EQ(hash.size(), 16u);
  EXPECT_EQ(hash, prepare_dataset(make_raw(), {}).hash);
  std::set<std::string> hashes = {hash};
  RawDataset raw = make_raw();
  raw.test.pixels.back() ^= 1;
  hashes.insert(prepare_dataset(raw, {}).hash);
  raw = make_raw();
  raw.train.labels[0] = 1;
  hashes.insert(prepare_dataset(raw, {}).hash);
  raw = make_raw();
  raw.class_names[0] = "level";
  hashes.insert(prepare_dataset(raw, {}).hash);
  EXPECT_EQ(hashes.size(), 4u);
}

TEST(DataOptions, DeclareTheirBounds) {
  DataOptions options;
  OptionSet set;
  options.declare(set);
  Problems problems;
  set.set("normalisation", "zcca", "--normalisation", problems);
  set.set("test_fraction", "1.5", "--test-fraction", problems);
  set.set("classes", "cat,dog", "--classes", problems);
  ASSERT_EQ(problems.all().size(), 2u);
  EXPECT_NE(problems.all()[0].find("zcca"), std::string::npos);
  EXPECT_EQ(options.classes, (std::vector<std::string>{"cat", "dog"}));
}

TEST(OpenDataset, DrawsTheBuiltInSetAsAsked) {
  DataOptions options;
  options.classes = {"heart", "ring"};
  options.resolution = 16;
  options.greyscale = true;
  const Dataset set = open_dataset(options);
  EXPECT_EQ(set.name, "shapes");
  EXPECT_EQ(set.class_names, options.classes);
  EXPECT_EQ(set.train.images.sizes(), at::IntArrayRef({2000, 1, 16, 16}));
  EXPECT_EQ(set.test.rows_by_class[1].size(), 200u);
}

TEST(OpenDataset, RefusesWhatIsNotThere) {
  DataOptions options;
  options.data = "/nowhere/at/all";
  tests::expect_error<DataError>([&] { open_dataset(options); }, {"/nowhere/at/all"});
  options.data = "shapes";
  options.classes = {"hart", "ring"};
  tests::expect_error<ConfigError>([&] { open_dataset(options); }, {"hart", "heart"});
}

}  // namespace
}  // namespace retort::data
