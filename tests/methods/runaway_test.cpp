#include "methods/runaway.h"

#include <gtest/gtest.h>

#include "methods/rate_options.h"

namespace retort::methods {
namespace {

void expect_told(const std::optional<std::string>& text, const std::vector<std::string>& parts) {
  ASSERT_TRUE(text.has_value());
  for (const std::string& part : parts)
    EXPECT_NE(text->find(part), std::string::npos) << *text << " lacks " << part;
}

synthetic::ParameterGroup rate(double value) {
  return {.name = "student_learning_rate",
          .value = at::full({2}, value, at::kDouble),
          .rate_option = kStudentRateOptions};
}

synthetic::ParameterGroup labels(double value) {
  return {.name = "label_logits",
          .value = at::full({2}, value, at::kDouble),
          .rate_option = kLabelRateOption};
}

TEST(Runaway, NamesTheIterationAndTheRateOfTheImages) {
  at::Tensor images = at::zeros({2, 1, 2, 2});
  images[1][0][1][0] = -49;
  EXPECT_FALSE(runaway(images, {}, 3).has_value());
  images[1][0][1][0] = -9.93e5;
  expect_told(runaway(images, {}, 1),
              {"after 1 iteration ", "up to 9.93e+05 deviations", "--image-learning-rate"});
}

TEST(Runaway, NamesTheRateOfWhatElseIsLearned) {
  const at::Tensor images = at::zeros({1, 1, 2, 2});
  EXPECT_FALSE(runaway(images, {rate(0.01)}, 3).has_value());
  EXPECT_FALSE(runaway(images, {labels(30)}, 3).has_value());
  expect_told(
      runaway(images, {rate(-0.02)}, 3),
      {"after 3 iterations", "-0.02 and held just above 0", "--student-rate-learning-rate"});
  expect_told(runaway(images, {rate(40)}, 3),
              {"learning rate is 40:", "--student-rate-learning-rate"});
  expect_told(runaway(images, {labels(-1e6)}, 3), {"1e+06", "--label-learning-rate"});
}

}  // namespace
}  // namespace retort::methods
