// The pixels parametrisation, the geometry, and how many images each class gets.
#include "retort/synthetic/parametrisation.h"

#include <cmath>

#include "retort/core/error.h"
#include "support/support.h"
#include "synthetic/made.h"

namespace retort::synthetic {
namespace {

using retort::tests::expect_error;
using retort::tests::TempFolder;
using retort::tests::write_text;

const std::vector<std::string> kNames = {"cat", "dog", "a=b"};

TEST(SetLayout, CountsClassAfterClass) {
  const SetLayout layout{{2, 0, 1}, 3, 4, 5};
  EXPECT_EQ(layout.size(), 3);
  EXPECT_EQ(layout.classes(), 3);
  EXPECT_EQ(layout.offsets(), (std::vector<int64_t>{0, 2, 2, 3}));
  EXPECT_TRUE(at::equal(layout.labels(), at::tensor({0, 0, 2}, at::kLong)));
}

TEST(Parametrisations, AllDecodeWhatTheyStartFromToTheirShape) {
  const SetLayout layout{{5, 5}, 3, 8, 8};
  ASSERT_EQ(parametrisation_table().front().name, "pixels");
  for (const ParametrisationEntry& entry : parametrisation_table()) {
    const auto one = made(entry.name, {}, {layout});
    const int64_t count = one->layout().size();
    one->initialise(at::full({count, 3, 8, 8}, 0.5f));
    const at::Tensor images = one->decode();
    EXPECT_EQ(images.sizes(), (std::vector<int64_t>{count, 3, 8, 8}));
    EXPECT_FALSE(images.requires_grad());
    EXPECT_EQ(one->pullback(images).size(), one->parameters().size());
    int64_t bytes = 0;
    for (const ParameterGroup& group : one->parameters()) {
      EXPECT_TRUE(one->compact().at(group.name).is_same(group.value)) << group.name;
      bytes += static_cast<int64_t>(group.value.nbytes());
    }
    EXPECT_LE(bytes, 10 * 3 * 64 * 4) << entry.name;
  }
}

/// Every decoder is linear in each of its groups, up to what it gives where the group is zero:
/// <decode(p) - decode(0), g> = <p, pullback(g)>.
TEST(Parametrisations, AllPullBackByTheAdjointOfTheirDecoder) {
  const std::map<std::string, Settings> odd = {{"multiformation", {{"factor", "3"}}},
                                               {"memories", {{"bases", "5"}}},
                                               {"frequency", {{"frequencies", "11"}}}};
  for (const ParametrisationEntry& entry : parametrisation_table()) {
    const auto found = odd.find(entry.name);
    const auto one = made(entry.name, found == odd.end() ? Settings{} : found->second,
                          in_double({{4, 4}, 3, 8, 8}));
    const int64_t count = one->layout().size();
    one->initialise(numbers({count, 3, 8, 8}));
    const at::Tensor cotangents = numbers({count, 3, 8, 8}, 1.3);
    const at::Tensor images = one->decode();
    const std::vector<at::Tensor> gradients = one->pullback(cotangents);
    const auto groups = one->parameters();
    for (size_t i = 0; i < groups.size(); ++i) {
      at::Tensor value = groups[i].value;
      const at::Tensor before = value.clone();
      value.zero_();
      const at::Tensor moved = images - one->decode();
      value.copy_(before);
      EXPECT_GT(moved.abs().max().item<double>(), 0.01) << entry.name;
      const double pulled = (before * gradients[i]).sum().item<double>();
      EXPECT_NEAR((moved * cotangents).sum().item<double>(), pulled, 1e-12 * (1 + std::abs(pulled)))
          << entry.name << " " << groups[i].name;
    }
  }
}

TEST(Pixels, StepAlongTheirCotangents) {
  const SetLayout layout{{1}, 1, 2, 2};
  const auto pixels = parametrisation_table().front().make()->make({layout});
  pixels->initialise(at::arange(4, at::kFloat).view({1, 1, 2, 2}));
  const at::Tensor before = pixels->decode();
  const at::Tensor cotangents = at::ones({1, 1, 2, 2});
  pixels->parameters()[0].value.sub_(pixels->pullback(cotangents)[0], 0.5);
  EXPECT_TRUE(at::equal(pixels->decode(), before - 0.5)) << "decode gives copies";
}

TEST(ImagesPerClass, TakesANumberOrASharedTotal) {
  EXPECT_EQ(parse_images_per_class("2", kNames, {5, 6, 2}), (std::vector<int64_t>{2, 2, 2}));
  EXPECT_EQ(parse_images_per_class("proportional:10", kNames, {50, 30, 20}),
            (std::vector<int64_t>{5, 3, 2}));
  EXPECT_EQ(parse_images_per_class("proportional:4", kNames, {1000, 1, 1}),
            (std::vector<int64_t>{2, 1, 1}));
  EXPECT_EQ(parse_images_per_class("proportional:12", kNames, {10, 1, 1}),
            (std::vector<int64_t>{10, 1, 1}));
}

TEST(ImagesPerClass, SharesStayWithinBoundsAndSumToTheTotal) {
  const std::vector<int64_t> sizes = {7, 1, 2, 300, 5, 5, 41};
  const std::vector<std::string> names(sizes.size(), "c");
  for (int64_t total = 7; total <= 361; ++total) {
    const auto counts =
        parse_images_per_class("proportional:" + std::to_string(total), names, sizes);
    int64_t sum = 0;
    for (size_t c = 0; c < sizes.size(); ++c) {
      EXPECT_GE(counts[c], 1);
      EXPECT_LE(counts[c], sizes[c]);
      sum += counts[c];
    }
    EXPECT_EQ(sum, total);
  }
}

TEST(ImagesPerClass, ReadsAFileOfLines) {
  const TempFolder folder;
  write_text(folder / "counts.txt", "# of my set\r\n\n cat = 3\ndog=1\na=b=2");
  EXPECT_EQ(parse_images_per_class((folder / "counts.txt").string(), kNames, {3, 3, 3}),
            (std::vector<int64_t>{3, 1, 2}));
}

TEST(ImagesPerClass, ReadsIdsAndIndices) {
  const TempFolder folder;
  const std::string file = (folder / "counts.txt").string();
  const std::vector<std::string> ids = {"n01440764", "n02012849", "n03126707"};
  write_text(file, "n03126707=3\n0=1\ndog=2\n");
  EXPECT_EQ(parse_images_per_class(file, kNames, {3, 3, 3}, ids), (std::vector<int64_t>{1, 2, 3}));
  write_text(file, "n02012849=3\ndog=1\n2=1\n3=1\n");
  expect_error<ConfigError>(
      [&] {
        parse_images_per_class(file, kNames, {3, 3, 3}, ids);
      },
      {"line 2: class 'dog' is there twice", "no class '3'", "'cat'"});
}

TEST(ImagesPerClass, RefusesWithEveryProblemNamed) {
  const TempFolder folder;
  const std::string file = (folder / "counts.txt").string();
  const std::vector<int64_t> sizes = {3, 3, 3};
  const auto refuses = [&](const std::string& text, const std::vector<std::string>& parts) {
    expect_error<ConfigError>([&] { parse_images_per_class(text, kNames, sizes); }, parts);
  };
  refuses("0", {"less than 1"});
  refuses("-4", {"less than 1"});
  refuses("ten", {"neither a number nor a file"});
  refuses("1000001", {"more than 1000000"});
  refuses("proportional:2", {"from 3", "to 9"});
  refuses("proportional:x", {"from 3"});
  write_text(file, "cat=1\ndgo=2\ncat=2\na=b=none\n");
  refuses(file, {"line 2", "'dgo'", "'dog'?", "line 3", "twice", "line 4", "'dog' is missing"});
  expect_error<ConfigError>(
      [&] {
        parse_images_per_class("proportional:3", kNames, {3, 0, 3});
      },
      {"'dog' has 0 images"});
}

TEST(ImagesPerClass, MayBeMoreThanAClassHasWhichIsNamed) {
  EXPECT_EQ(parse_images_per_class("4", kNames, {3, 9, 1}), (std::vector<int64_t>{4, 4, 4}));
  EXPECT_EQ(classes_too_small({4, 4, 4}, kNames, {3, 9, 1}),
            (std::vector<std::string>{"class 'cat' has 3 training images, 4 are asked for",
                                      "class 'a=b' has 1 training image, 4 are asked for"}));
  const std::vector<std::string> names(30, "c");
  const auto many =
      classes_too_small(std::vector<int64_t>(30, 2), names, std::vector<int64_t>(30, 1));
  EXPECT_EQ(many.size(), 21U);
  EXPECT_EQ(many.back(), "and 10 more");
}

}  // namespace
}  // namespace retort::synthetic
