// Addressable memories: budgets, the decoder by hand, recall, starts.
#include "synthetic/memories.h"

#include <limits>

#include "retort/core/error.h"
#include "synthetic/made.h"
#include "synthetic/recall.h"

namespace retort::synthetic {
namespace {

using retort::tests::expect_error;

TEST(Memories, HaveAsManyAddressersAsTheBudgetHolds) {
  struct Row {
    int64_t channels, side, classes, images, bases, downsample, addressers, used;
  };
  for (const Row& row : std::vector<Row>{{3, 32, 10, 1, 16, 2, 115, 30688},
                                         {3, 32, 10, 1, 8, 2, 307, 30704},
                                         {3, 32, 10, 1, 32, 2, 19, 30656},
                                         {3, 32, 10, 1, 8, 1, 76, 30656},
                                         {3, 32, 10, 10, 64, 2, 403, 307072},
                                         {3, 32, 10, 10, 128, 2, 163, 306944},
                                         {3, 32, 10, 10, 256, 2, 43, 306688},
                                         {3, 32, 10, 50, 256, 2, 523, 1535488},
                                         {3, 32, 10, 50, 512, 2, 223, 1534976},
                                         {1, 28, 10, 1, 16, 2, 29, 7776},
                                         {1, 28, 10, 10, 64, 2, 102, 77824},
                                         {3, 32, 100, 1, 64, 2, 40, 305152},
                                         {3, 32, 100, 1, 128, 2, 16, 303104},
                                         {3, 32, 100, 10, 256, 2, 112, 3063808},
                                         {3, 64, 200, 1, 256, 2, 32, 2424832}}) {
    const SetLayout budget{std::vector<int64_t>(static_cast<size_t>(row.classes), row.images),
                           row.channels, row.side, row.side};
    EXPECT_EQ(addressers_within(budget, row.bases, row.downsample), row.addressers) << row.bases;
    const auto made_of =
        made("memories",
             {{"bases", std::to_string(row.bases)}, {"downsample", std::to_string(row.downsample)}},
             {budget, at::kMeta});
    EXPECT_EQ(made_of->layout().size(), row.addressers * row.classes);
    int64_t used = 0;
    for (const auto& [name, tensor] : made_of->compact()) used += tensor.numel();
    EXPECT_EQ(used, row.used) << row.bases;
  }
}

TEST(Memories, BudgetsThatHoldNoneAreRefused) {
  const SetLayout one{{1, 1}, 1, 8, 8}, unequal{{1, 2}, 1, 8, 8};
  EXPECT_EQ(addressers_within(one, 9, 2), 0);  // 128 numbers in all, 144 of bases
  expect_error<ConfigError>(
      [&] {
        made("memories", {{"bases", "9"}}, {one});
      },
      {"9 bases", "take 162 numbers", "128", "--bases"});
  expect_error<ConfigError>(
      [&] {
        made("memories", {{"bases", "4"}, {"addressers", "9"}}, {one});
      },
      {"take 136 numbers"});
  expect_error<ConfigError>(
      [&] {
        made("memories", {{"bases", "2"}}, {unequal});
      },
      {"different numbers of images"});
  expect_error<ConfigError>(
      [&] {
        made("memories", {{"bases", "2"}, {"downsample", "3"}}, {one});
      },
      {"8x8", "--downsample"});
}

/// Two classes with two images each of 2 x 2 from two bases of one number: rows 0, 1 are class 0.
TEST(Memories, DecodeClassAfterClass) {
  const auto memories =
      made("memories", {{"bases", "2"}, {"addressers", "2"}}, in_double({{3, 3}, 1, 2, 2}));
  memories->initialise(at::zeros({4, 1, 2, 2}));
  memories->compact().at("bases").copy_(at::tensor({2.0, -1.0}).view({2, 1, 1, 1}));
  memories->compact()
      .at("coefficients")
      .copy_(at::tensor({1., 0., 0., 1., 1., 1., 3., 2.}).view({4, 2}));
  const at::Tensor images = memories->decode();
  for (int64_t i = 0; i < 4; ++i)
    EXPECT_TRUE(
        images[i].equal(at::full({1, 2, 2}, std::vector<double>{2, -1, 1, 4}[i], at::kDouble)))
        << i;
  // By hand: dA = g B^T and dB = A^T g, where upsampling adds up the four pixels.
  at::Tensor cotangents = at::zeros({4, 1, 2, 2}, at::kDouble);
  cotangents[3].fill_(0.5);
  const auto gradients = memories->pullback(cotangents);
  EXPECT_TRUE(gradients[0].flatten().equal(at::tensor({6., 4.}, at::kDouble)));
  EXPECT_TRUE(gradients[1][3].equal(at::tensor({4., -2.}, at::kDouble)));
  EXPECT_EQ(gradients[1].slice(0, 0, 3).abs().sum().item<double>(), 0);
}

TEST(Memories, AnswerAnyMixtureOfLabels) {
  const SetLayout budget{{4, 4, 4}, 3, 8, 8};
  const auto memories = made("memories", {{"bases", "5"}, {"addressers", "2"}}, {budget});
  memories->initialise(at::zeros({6, 3, 8, 8}));
  Bundle bundle;
  bundle.class_names = {"a", "b", "c"};
  bundle.images = memories->decode();
  bundle.compact = memories->compact();
  EXPECT_LT((recall(bundle, at::eye(3)) - bundle.images).abs().max().item<double>(), 1e-7);
  const at::Tensor mixed = recall(bundle, at::tensor({0.25f, 0.75f, 0.f}).view({1, 3}));
  EXPECT_LT((mixed - 0.25 * bundle.images.slice(0, 0, 2) - 0.75 * bundle.images.slice(0, 2, 4))
                .abs()
                .max()
                .item<double>(),
            1e-6);
  bundle.compact.clear();
  bundle.parametrisation = "pixels";
  expect_error<StateError>([&] { recall(bundle, at::eye(3)); }, {"'pixels'", "memories"});
}

TEST(Memories, StartFromRandomNumbersOrPrincipalComponents) {
  const SetLayout budget{{8, 8}, 3, 8, 8};
  auto random = made("memories", {{"bases", "6"}, {"addressers", "3"}}, {budget});
  EXPECT_FALSE(random->starts_from_images());
  random->initialise(at::zeros({6, 3, 8, 8}));
  const double bound = std::sqrt(6.0 / (6 + 48));
  const at::Tensor bases = random->compact().at("bases");
  EXPECT_LE(bases.abs().max().item<double>(), bound);
  EXPECT_GT(bases.abs().max().item<double>(), 0.9 * bound);

  // Images of rank 2 that are constant on blocks of 2 x 2 come back but for the smoothing of
  // upsampling; with a factor of 1 exactly, and unused bases are free to move.
  const auto exact =
      made("memories",
           {{"bases", "6"}, {"addressers", "3"}, {"downsample", "1"}, {"memory_start", "images"}},
           in_double(budget));
  const at::Tensor images =
      at::matmul(numbers({6, 2}), numbers({2, 3 * 64}, 0.3)).view({6, 3, 8, 8});
  exact->initialise(images);
  EXPECT_LT((exact->decode() - images).abs().max().item<double>(), 1e-12);
  EXPECT_GT(exact->compact().at("bases")[5].abs().max().item<double>(), 0.01);
}

TEST(Memories, OfAnyNumberAreCountedWithoutOverflow) {
  for (const char* option : {"bases", "addressers"})
    expect_error<ConfigError>(
        [&] {
          made("memories", {{option, "2147483647"}}, {{{1, 1}, 3, 8, 8}});
        },
        {"2147483647", "384 numbers", "--bases or --addressers"});
  for (const int64_t bases : {int64_t{23710467961066262}, std::numeric_limits<int64_t>::max()})
    EXPECT_EQ(addressers_within({{1, 1}, 3, 8, 8}, bases, 2), 0);
  EXPECT_EQ(addressers_within({{1, 1}, 3, 8, 8}, 16, 16), 0) << "sides of no pixel";
}

}  // namespace
}  // namespace retort::synthetic
