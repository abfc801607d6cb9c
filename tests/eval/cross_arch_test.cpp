// Sets under many networks: rates are chosen away from the test part, and kept.
#include "eval/cross_arch.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "eval/first_images.h"
#include "retort/core/error.h"
#include "retort/data/raw.h"
#include "support/support.h"

namespace retort::eval {
namespace {

/// Data of a test part whose labels can be changed, and one set.
struct Small {
  tests::TempFolder folder;
  data::Dataset data = data::prepare_dataset(data::make_shapes(0.02), data::DataOptions{});
  CrossOptions options;
  std::vector<CrossRow> rows;

  Small() {
    options.rates = {"0.01", "0.1"};
    options.students = 2;
    options.evaluation_epochs = 2;
    CrossRow row{"set", tests::first_images(data)};
    row.bundle.network = "convnet-w4-d1";
    row.bundle.data_hash = data.hash;
    rows.push_back(row);
  }
  Json cell(size_t row, const std::string& network, KeptFigures& kept) {
    const CrossInput input{data, options, kept};
    return cross_cell(input, rows[row], network).value();
  }
};

int64_t figures_in(const std::filesystem::path& folder) {
  int64_t count = 0;
  for (const Json& record : read_records(folder / "records.jsonl"))
    if (record.value("kind", "") == "figure") ++count;
  return count;
}

TEST(CrossArch, ChoosesTheBestRateOfTheValidationPart) {
  Small small;
  KeptFigures kept(small.folder.path());
  const Json cell = small.cell(0, "convnet-w4-d1", kept);
  ASSERT_EQ(cell.at("tried").size(), 2U);
  double best = -1, rate = 0;
  for (const Json& one : cell.at("tried"))
    if (one.at("accuracy").get<double>() > best) {
      best = one.at("accuracy").get<double>();
      rate = one.at("rate").get<double>();
    }
  EXPECT_EQ(cell.at("rate"), rate);
  EXPECT_TRUE(cell.at("at_end").get<bool>()) << "one of two";
  EXPECT_EQ(cell.at("accuracies").size(), 2U);
}

TEST(CrossArch, ChoosesTheSameRateWhateverTheTestPartSays) {
  Small small, other;
  other.data.test.labels = (other.data.test.labels + 1) % other.data.classes();
  other.data.test =
      data::make_split(other.data.test.images, other.data.test.labels, other.data.classes());
  KeptFigures kept(small.folder.path()), kept_of_other(other.folder.path());
  const Json a = small.cell(0, "convnet-w4-d1", kept),
             b = other.cell(0, "convnet-w4-d1", kept_of_other);
  EXPECT_EQ(a.at("tried"), b.at("tried"));
  EXPECT_EQ(a.at("rate"), b.at("rate"));
}

TEST(CrossArch, TakesWhatAnEarlierStartFound) {
  Small small;
  Json first;
  {
    KeptFigures kept(small.folder.path());
    first = small.cell(0, "convnet-w4-d1", kept);
  }
  EXPECT_EQ(figures_in(small.folder.path()), 3) << "two rates and the figure";
  KeptFigures kept(small.folder.path());
  EXPECT_EQ(small.cell(0, "convnet-w4-d1", kept), first);
  EXPECT_EQ(figures_in(small.folder.path()), 3);
  small.options.rates.push_back("0.03");
  small.cell(0, "convnet-w4-d1", kept);
  EXPECT_LE(figures_in(small.folder.path()), 5) << "one rate more, and the figure at it";
  small.options.seed = 1;
  const int64_t before = figures_in(small.folder.path());
  small.cell(0, "convnet-w4-d1", kept);
  EXPECT_EQ(figures_in(small.folder.path()), before + 4) << "nothing of another seed is taken";
}

TEST(CrossArch, PassesOverRatesAtWhichTrainingRunsAway) {
  Small small;
  small.options.rates = {"0.01", "900"};
  small.options.evaluation_epochs = 30;
  KeptFigures kept(small.folder.path());
  const Json cell = small.cell(0, "mlp", kept);
  EXPECT_EQ(cell.at("rate"), 0.01);
  small.options.rates = {"fast"};
  EXPECT_THROW(small.cell(0, "mlp", kept), ConfigError);
}

TEST(CrossArch, PutsOneRowOfRandomImagesBesideSetsOfOneSize) {
  Small small;
  small.rows.push_back(small.rows[0]);
  small.rows[1].name = "another";
  small.rows[1].bundle.images = small.rows[0].bundle.images + 0.1;
  KeptFigures kept(small.folder.path());
  const CrossInput input{small.data, small.options, kept};
  add_baselines(small.rows, input);
  ASSERT_EQ(small.rows.size(), 3U);
  EXPECT_EQ(small.rows[2].name, "random, 10 images");
  EXPECT_TRUE(small.rows[2].random);
  EXPECT_EQ(small.rows[0].baseline, small.rows[2].name);
  EXPECT_EQ(small.rows[1].baseline, small.rows[2].name);
  const Json cell = small.cell(2, "convnet-w4-d1", kept);
  EXPECT_EQ(cell.at("labels"), "hard");
}

TEST(CrossArch, OffersTheRateThatASetHasLearned) {
  Small small;
  small.rows[0].bundle.student_learning_rate = 0.05;
  KeptFigures kept(small.folder.path());
  const Json cell = small.cell(0, "convnet-w4-d1", kept);
  ASSERT_EQ(cell.at("tried").size(), 3U);
  EXPECT_EQ(cell.at("tried")[1].at("rate"), 0.05);
}

}  // namespace
}  // namespace retort::eval
