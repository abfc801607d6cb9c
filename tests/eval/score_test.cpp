// Scores against evaluations and arithmetic done here, and that nothing is trained twice.
#include "eval/score.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "eval/first_images.h"
#include "eval/held_out.h"
#include "retort/core/error.h"
#include "retort/data/raw.h"
#include "support/device.h"
#include "support/support.h"

namespace retort::eval {
namespace {

const data::Dataset& shapes() {
  static const data::Dataset data =
      with_validation(data::prepare_dataset(data::make_shapes(0.02), data::DataOptions()), 0.2, 0);
  return data;
}

synthetic::Bundle small_set() {
  synthetic::Bundle bundle = tests::first_images(shapes());
  bundle.method = "dm";
  bundle.network = "convnet-w4-d2";
  bundle.augmentation = "color_crop";
  return bundle;
}

ScoreOptions quick() {
  ScoreOptions options;
  options.runs = 2;
  options.evaluation_epochs = 2;
  options.rates = {"0.01", "0.05"};
  options.coresets = {"random", "herding"};
  options.selection_epochs = options.whole_set_epochs = 1;
  return options;
}

Score score(const synthetic::Bundle& bundle, const ScoreOptions& options,
            const std::filesystem::path& folder) {
  KeptFigures kept(folder);
  return *score_set({shapes(), options, kept, folder, tests::device()}, "a set", bundle);
}

/// An evaluation of the set at one rate.
std::vector<double> evaluated(synthetic::Bundle bundle, double rate, const std::string& part,
                              int64_t students) {
  bundle.student_learning_rate = rate;
  EvalOptions options;
  options.students = students;
  options.evaluation_epochs = 2;
  options.part = part;
  options.random_baseline = false;
  return evaluate(bundle, shapes(), options, tests::device()).results.at(0).accuracies;
}

TEST(HeldOut, TakesAShareOfEveryClassOnceAndLeavesAValidationPartAlone) {
  const data::Dataset whole = data::prepare_dataset(data::make_shapes(0.02), data::DataOptions());
  EXPECT_EQ(shapes().validation.size() + shapes().train.size(), whole.train.size());
  EXPECT_EQ(shapes().test.size(), whole.test.size());
  for (const auto& members : shapes().validation.rows_by_class) EXPECT_FALSE(members.empty());
  EXPECT_EQ(with_validation(shapes(), 0.5, 3).validation.size(), shapes().validation.size());
}

TEST(Score, SearchesRatesOnValidationImagesAndTestsOnce) {
  const tests::TempFolder folder;
  const synthetic::Bundle bundle = small_set();
  const Score found = score(bundle, quick(), folder.path());
  const ScoreFigure& hard = found.find("distilled", "hard");
  const double low = evaluated(bundle, 0.01, "validation", 1).at(0),
               high = evaluated(bundle, 0.05, "validation", 1).at(0);
  EXPECT_EQ(hard.rate, high > low ? 0.05 : 0.01);
  EXPECT_TRUE(hard.searched);
  EXPECT_EQ(hard.accuracies, evaluated(bundle, hard.rate, "test", 2));
  EXPECT_EQ(found.labels, "hard");
}

TEST(Score, IsTheArithmeticOfItsFigures) {
  const tests::TempFolder folder;
  const Score found = score(small_set(), quick(), folder.path());
  std::vector<double> label, augmentation;
  for (size_t run = 0; run < 2; ++run) {
    const auto of = [&](const char* subject, const char* labels, bool augmented) {
      return found.find(subject, labels, augmented).accuracies.at(run);
    };
    const double improvement = of("distilled", "own", true) - of("random", "own", true);
    const double recovery = found.whole.at(0) - of("distilled", "hard", true);
    const double plain = of("distilled", "own", false) - of("random", "own", false);
    label.push_back(normalised((improvement - recovery) / 2));
    augmentation.push_back(normalised((improvement + plain) / 2));
  }
  EXPECT_NEAR(found.label_robust.mean, (label[0] + label[1]) / 2, 1e-12);
  EXPECT_NEAR(found.augmentation_robust.mean, (augmentation[0] + augmentation[1]) / 2, 1e-12);
  EXPECT_EQ(found.find("random", "own").draws, 2);
  EXPECT_EQ(found.find("herding", "hard").accuracies.size(), 2u);
  EXPECT_EQ(found.find("random", "own").accuracies, found.find("random", "hard").accuracies);
}

TEST(Score, TrainsNothingTwiceAndSharesCoresetsAmongSets) {
  const tests::TempFolder folder;
  const Score first = score(small_set(), quick(), folder.path());
  const std::string records = tests::read_text(folder / "records.jsonl");
  const Score again = score(small_set(), quick(), folder.path());
  EXPECT_EQ(tests::read_text(folder / "records.jsonl"), records);
  EXPECT_EQ(to_json(first).at("figures"), to_json(again).at("figures"));
  synthetic::Bundle other = small_set();
  other.images = other.images.flip(3);
  const Score second = score(other, quick(), folder.path());
  EXPECT_EQ(second.find("herding", "hard").accuracies, first.find("herding", "hard").accuracies);
  const std::string more = tests::read_text(folder / "records.jsonl").substr(records.size());
  EXPECT_EQ(more.find("random"), std::string::npos);
}

TEST(Score, GivesRealImagesTheSoftLabelsOfANetworkOfTheWholeSet) {
  const tests::TempFolder folder;
  synthetic::Bundle soft = small_set();
  soft.soft_labels = at::one_hot(soft.labels, soft.classes()).to(at::kFloat) * 0.9 +
                     0.1 / static_cast<double>(soft.classes());
  soft.student_learning_rate = 0.02;
  const Score found = score(soft, quick(), folder.path());
  EXPECT_EQ(found.labels, "soft");
  EXPECT_EQ(found.find("distilled", "own").rate, 0.02);
  EXPECT_FALSE(found.find("distilled", "own").searched);
  EXPECT_TRUE(found.find("distilled", "hard").searched);
  EXPECT_TRUE(found.has("herding", "own"));
  EXPECT_NE(to_json(found).at("notes").dump().find("soft labels of the first student"),
            std::string::npos);
  // A start after a kill that lost the network of the whole set ends in the same figures.
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    if (entry.path().extension() == ".bin") std::filesystem::remove(entry.path());
  EXPECT_EQ(to_json(score(soft, quick(), folder.path())).at("figures"),
            to_json(found).at("figures"));
}

TEST(Score, RefusesRatesThatAreNone) {
  const tests::TempFolder folder;
  ScoreOptions options = quick();
  options.rates = {"0.01", "fast"};
  tests::expect_error<ConfigError>([&] { score(small_set(), options, folder.path()); },
                                   {"reading --rates", "'fast'"});
}

}  // namespace
}  // namespace retort::eval
