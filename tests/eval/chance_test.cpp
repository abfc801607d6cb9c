// Chance in the choice of real images: draws anew for every student, and classes of unequal size.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "methods/redraw.h"
#include "retort/eval/evaluate.h"
#include "support/support.h"

namespace retort::eval {
namespace {

const at::Device kCpu(at::kCPU);

bool has_note(const Evaluation& evaluation, const std::string& part) {
  return std::ranges::any_of(evaluation.notes, [&](const std::string& note) {
    return note.find(part) != std::string::npos;
  });
}

/// Two classes, black and white in the test part; in the training part every class has as many
/// images of the one kind as of the other, so that the draw decides between all right and all
/// wrong.
data::Dataset two_faced() {
  const auto pixels = [](const std::vector<int64_t>& values) {
    return at::tensor(values, at::kByte).view({-1, 1, 1, 1}).expand({-1, 1, 8, 8}).contiguous();
  };
  data::Dataset data;
  data.name = "two-faced";
  data.channels = 1;
  data.height = data.width = 8;
  data.class_names = {"dark", "light"};
  data.train = data::make_split(pixels({0, 255, 0, 255, 255, 0, 255, 0}),
                                at::tensor({0, 0, 0, 0, 1, 1, 1, 1}, at::kLong), 2);
  data.test = data::make_split(pixels({0, 0, 0, 0, 255, 255}),
                               at::tensor({0, 0, 0, 0, 1, 1}, at::kLong), 2);
  data.preprocessing = data::Preprocessing::mean_std({0.5}, {0.5});
  return data;
}

/// The right draw: dark is black, light is white.
synthetic::Bundle right_draw(const data::Dataset& data) {
  synthetic::Bundle bundle;
  bundle.images = data.preprocessing.apply(
      data.train.images.index_select(0, at::tensor({0, 4}, at::kLong)), kCpu);
  bundle.labels = at::arange(2, at::kLong);
  bundle.class_names = data.class_names;
  bundle.preprocessing = data.preprocessing;
  bundle.protocol = "demo";
  bundle.network = "mlp";
  bundle.augmentation = "none";
  return bundle;
}

EvalOptions many() {
  EvalOptions options;
  options.students = 12;
  options.evaluation_epochs = 40;
  return options;
}

TEST(Evaluate, DrawsRandomImagesAnewForEveryStudent) {
  const data::Dataset data = two_faced();
  const Evaluation found = evaluate(right_draw(data), data, many(), kCpu, {});
  const Result& set = found.results.at(0);
  EXPECT_EQ(set.draws, 1);
  for (const double accuracy : set.accuracies) EXPECT_EQ(accuracy, 1);
  const Result& random = found.results.at(1);
  EXPECT_EQ(random.draws, 12);
  EXPECT_GT(std::count(random.accuracies.begin(), random.accuracies.end(), 1.0), 0);
  EXPECT_GT(std::count(random.accuracies.begin(), random.accuracies.end(), 0.0), 0);
  EXPECT_GT(random.deviation(), 0.2) << "the deviation holds the draws";
}

TEST(Evaluate, ChoosesASetOfChanceAnewForEveryStudent) {
  const data::Dataset data = two_faced();
  synthetic::Bundle bundle = right_draw(data);
  bundle.method = "random";
  bundle.chosen = true;
  bundle.data_hash = data.hash;
  EvalOptions options = many();
  options.random_baseline = false;
  std::ostringstream out;
  const Evaluation anew = evaluate(bundle, data, options, kCpu, {&out, false, 80});
  const Result& result = anew.results.at(0);
  EXPECT_EQ(result.draws, 12);
  EXPECT_EQ(result.accuracies.at(0), 1) << "the first student has the stored images";
  int64_t right = 0, wrong = 0;
  for (size_t i = 1; i < result.accuracies.size(); ++i) {
    const at::Tensor images =
        methods::choose_again(bundle, data, static_cast<uint64_t>(bundle.seed) + i, kCpu);
    if (images.equal(bundle.images)) {
      EXPECT_EQ(result.accuracies[i], 1) << i;
      ++right;
    } else if (images.equal(bundle.images.flip(0))) {
      EXPECT_EQ(result.accuracies[i], 0) << i;
      ++wrong;
    }
  }
  EXPECT_GT(right, 0);
  EXPECT_GT(wrong, 0);
  EXPECT_NE(out.str().find("choosing images by 'random' for student 12 of 12"), std::string::npos);
  options.redraw = false;
  const Evaluation stored = evaluate(bundle, data, options, kCpu, {});
  EXPECT_EQ(stored.results[0].accuracies, std::vector<double>(12, 1));
  EXPECT_EQ(stored.results[0].draws, 1);
  EXPECT_TRUE(has_note(stored, "one choice of images by 'random'"));
}

TEST(Evaluate, CountsClassesByThemselvesAndWarnsOfUnequalOnes) {
  const data::Dataset data = two_faced();
  synthetic::Bundle bundle = right_draw(data);
  bundle.images = bundle.images.slice(0, 0, 1).repeat({2, 1, 1, 1});  // dark twice
  EvalOptions options = many();
  options.random_baseline = false;
  const Evaluation found = evaluate(bundle, data, options, kCpu, {});
  const Result& result = found.results.at(0);
  ASSERT_EQ(result.class_accuracies.size(), 2u);
  // 4 of dark and 2 of light.
  EXPECT_NEAR((4 * result.class_accuracies[0] + 2 * result.class_accuracies[1]) / 6, result.mean(),
              1e-12);
  EXPECT_NEAR(result.balanced(), (result.class_accuracies[0] + result.class_accuracies[1]) / 2,
              1e-12);
  EXPECT_EQ(found.class_images, (std::vector<int64_t>{4, 2}));
  EXPECT_EQ(found.test_images, 6);
  EXPECT_TRUE(has_note(found, "unbalanced, 2 images of 'light' and 4 of 'dark'"));
}

}  // namespace
}  // namespace retort::eval
