// Selection on features and events by hand, and the four methods on a small set.
#include "methods/selection/selection.h"

#include <gtest/gtest.h>

#include <set>

#include "methods/redraw.h"
#include "methods/selection/pick.h"
#include "methods/toy.h"
#include "retort/data/raw.h"
#include "support/support.h"

namespace retort::methods::selection {
namespace {

using Rows = std::vector<int64_t>;

at::Tensor column(const std::vector<double>& values) {
  return at::tensor(values, at::kDouble).unsqueeze(1);
}

TEST(Herding, KeepsTheRunningMeanNearTheMean) {
  // Mean 4. The targets are 4 (row 4 at 3.5), 8 - 3.5 = 4.5 (rows 1 and 2 are equally close), and
  // 12 - 6.5 = 5.5 (row 2 at 6).
  const at::Tensor features = column({1, 3, 6, 6.5, 3.5});
  EXPECT_EQ(features.mean().item<double>(), 4);
  EXPECT_EQ(pick_herding(features, 3), (Rows{4, 1, 2}));
}

TEST(Herding, GivesTiesToTheLowerRowAndEveryRowOnce) {
  EXPECT_EQ(pick_herding(column({2, 2, 2}), 5), (Rows{0, 1, 2}));
}

TEST(KCenter, StartsNearTheMeanAndGoesFarthestFirst) {
  // Mean 3: row 2 first; farthest is row 4 at 9; then row 0 at 0 (3 away); then row 3 (2 away).
  EXPECT_EQ(pick_kcenter(column({0, 1, 3, 5, 9, 0}), 4), (Rows{2, 4, 0, 3}));
}

TEST(KCenter, TakesCopiesLast) {
  EXPECT_EQ(pick_kcenter(column({1, 1, 4, 4}), 9), (Rows{0, 2, 1, 3}));
}

TEST(Forgetting, CountsFallsFromRightToWrong) {
  ForgettingCounter counter(3);
  for (const bool right : {false, true, false, true, true, false}) counter.see(0, right);
  for (const bool right : {false, false, false}) counter.see(1, right);
  for (const bool right : {true, true, true}) counter.see(2, right);
  EXPECT_EQ(counter.events(0), 2);
  EXPECT_EQ(counter.events(1), 0);
  EXPECT_FALSE(counter.ever_right(1));
  EXPECT_EQ(counter.events(2), 0);
  EXPECT_TRUE(counter.ever_right(2));
}

TEST(Forgetting, KeepsTheNeverLearnedThenTheMostForgotten) {
  ForgettingCounter counter(5);
  for (const int64_t row : {0, 1, 4})
    for (const bool right : {true, false}) counter.see(row, right);
  for (const bool right : {true, false}) counter.see(4, right);
  counter.see(2, true);
  counter.see(3, false);
  EXPECT_EQ(pick_forgetting(counter, {0, 1, 2, 3, 4}, 4), (Rows{3, 4, 0, 1}));
  EXPECT_EQ(pick_forgetting(counter, {2, 1}, 5), (Rows{1, 2}));
}

class Selection : public ::testing::TestWithParam<std::unique_ptr<Method> (*)()> {
 protected:
  static void SetUpTestSuite() {
    data::DataOptions options;
    data_ = new data::Dataset(data::prepare_dataset(data::make_shapes(0.02), options));
  }
  static void TearDownTestSuite() { delete data_; }

  Rows build(uint64_t seed) {
    const auto method = GetParam()();
    OptionSet options;
    method->declare(options);
    Problems problems;
    if (options.find("selection_epochs"))
      options.set("selection_epochs", "2", "--selection-epochs", problems);
    EXPECT_TRUE(problems.empty());
    const auto network = nets::make_network("convnet-w8", {3, 32, 32, 10});
    const Context context{*data_, *network, geometry_, "none", seed, at::Device(at::kCPU)};
    EXPECT_EQ(method->objective(context), nullptr);
    return method->selector(context)->select();
  }

  static data::Dataset* data_;
  const synthetic::SetLayout geometry_{{1, 2, 3, 1, 1, 1, 1, 1, 1, 4}, 3, 32, 32};
};
data::Dataset* Selection::data_ = nullptr;

TEST_P(Selection, GivesTheAskedRowsOfEveryClassInOrder) {
  const Rows rows = build(1);
  ASSERT_EQ(rows.size(), 16u);
  EXPECT_EQ(std::set<int64_t>(rows.begin(), rows.end()).size(), 16u);
  const int64_t* labels = data_->train.labels.data_ptr<int64_t>();
  size_t i = 0;
  for (size_t c = 0; c < geometry_.counts.size(); ++c)
    for (int64_t k = 0; k < geometry_.counts[c]; ++k)
      EXPECT_EQ(labels[rows[i++]], static_cast<int64_t>(c));
}

TEST_P(Selection, GivesTheSameRowsForTheSameSeedOnly) {
  const Rows rows = build(1);
  EXPECT_EQ(rows, build(1));
  EXPECT_NE(rows, build(2));
}

INSTANTIATE_TEST_SUITE_P(Methods, Selection,
                         ::testing::Values(make_random, make_herding, make_kcenter,
                                           make_forgetting));

TEST(ChooseAgain, GivesTheRowsOfARunOfThatSeed) {
  const data::Dataset data = tests::toy_dataset();
  const auto network = nets::make_network("convnet-w4-d2", {3, 8, 8, 3});
  const synthetic::SetLayout layout{{2, 2, 2}, 3, 8, 8};
  synthetic::Bundle bundle;
  bundle.method = "herding";
  bundle.chosen = true;
  bundle.network = "convnet-w4-d2";
  bundle.labels = at::tensor({0, 0, 1, 1, 2, 2}, at::kLong);
  bundle.class_names = data.class_names;
  bundle.data_hash = data.hash;
  bundle.preprocessing = data.preprocessing;
  bundle.recipe = "method = \"herding\"\nselection_epochs = 2\n";
  ASSERT_TRUE(can_choose_again(bundle, data));
  const auto method = make_herding();
  OptionSet options;
  method->declare(options);
  Problems problems;
  options.set("selection_epochs", "2", "", problems);
  const Context context{data, *network, layout, "", 5, at::Device(at::kCPU)};
  const at::Tensor rows = at::tensor(method->selector(context)->select(), at::kLong);
  std::ostringstream shown;
  EXPECT_TRUE(
      choose_again(bundle, data, 5, at::kCPU, {&shown})
          .equal(data.preprocessing.apply(data.train.images.index_select(0, rows), at::kCPU)));
  EXPECT_TRUE(shown.str().starts_with("training on real images, epochs  2/2 ")) << shown.str();
  bundle.method = "random";
  EXPECT_FALSE(
      choose_again(bundle, data, 1, at::kCPU).equal(choose_again(bundle, data, 2, at::kCPU)));
  bundle.chosen = false;
  EXPECT_FALSE(can_choose_again(bundle, data)) << "nothing of it is chosen";
  bundle.chosen = true;
  bundle.method = "of another program";
  EXPECT_FALSE(can_choose_again(bundle, data));
  bundle.method = "random";
  bundle.data_hash = "of other data";
  EXPECT_FALSE(can_choose_again(bundle, data));
}

}  // namespace
}  // namespace retort::methods::selection
