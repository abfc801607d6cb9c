// What records keep of an evaluation, and the judge that a run is given.
#include <gtest/gtest.h>

#include "eval/first_images.h"
#include "retort/core/error.h"
#include "retort/data/raw.h"
#include "retort/eval/evaluate.h"
#include "support/support.h"

namespace retort::eval {
namespace {

/// The built-in set with a validation part, and the first image of every class as a bundle.
struct Tiny {
  data::Dataset data = [] {
    data::DataOptions options;
    options.validation_fraction = 0.2;
    return data::prepare_dataset(data::make_shapes(0.02), options);
  }();
  synthetic::Bundle bundle;

  Tiny() : bundle(tests::first_images(data)) {
    bundle.method = "random";
    bundle.network = "convnet-w4-d1";
  }
};

TEST(EvaluationJson, HoldsEveryResultWithItsPasses) {
  const Tiny tiny;
  EvalOptions options;
  options.students = 2;
  options.evaluation_epochs = 2;
  const Json record = to_json(evaluate(tiny.bundle, tiny.data, options));
  EXPECT_EQ(record.at("kind"), "evaluation");
  EXPECT_EQ(record.at("students"), 2);
  EXPECT_TRUE(record.at("date").get<std::string>().ends_with(" UTC"));
  ASSERT_EQ(record.at("results").size(), 2U);
  EXPECT_EQ(record.at("results")[0].at("subject"), "distilled");
  EXPECT_EQ(record.at("results")[1].at("subject"), "random");
  EXPECT_EQ(record.at("results")[0].at("accuracies").size(), 2U);
  EXPECT_GE(record.at("results")[0].at("passes"), 2);
}

/// The sum over a row, or the diagonal.
int64_t row_sum(const Json& row) {
  int64_t sum = 0;
  for (const Json& one : row) sum += one.get<int64_t>();
  return sum;
}

TEST(EvaluationJson, CountsWhatEachClassIsTakenForOverAllStudents) {
  const Tiny tiny;
  EvalOptions options;
  options.students = 2;
  options.evaluation_epochs = 2;
  const Json record = to_json(evaluate(tiny.bundle, tiny.data, options));
  for (const Json& result : record.at("results")) {
    const Json& confusion = result.at("confusion");
    ASSERT_EQ(confusion.size(), 10U);
    int64_t right = 0;
    for (size_t c = 0; c < confusion.size(); ++c) {
      const auto images = std::ssize(tiny.data.test.rows_by_class[c]);
      EXPECT_EQ(row_sum(confusion[c]), 2 * images);
      right += confusion[c][c].get<int64_t>();
      EXPECT_NEAR(result.at("class_accuracies")[c].get<double>(),
                  confusion[c][c].get<double>() / static_cast<double>(2 * images), 1e-12);
    }
    EXPECT_NEAR(result.at("mean").get<double>(),
                static_cast<double>(right) / static_cast<double>(2 * tiny.data.test.size()), 1e-12);
  }
}

TEST(Validator, JudgesByOneStudentOnTheValidationPart) {
  Tiny tiny;
  const auto judge = validator(tiny.data, 3, at::kCPU);
  const Json answer = judge(tiny.bundle);
  EXPECT_EQ(answer.at("students"), 1);
  EXPECT_EQ(answer.at("network"), "convnet-w4-d1");
  EXPECT_EQ(answer, judge(tiny.bundle));
  tiny.data.validation = {};
  EXPECT_THROW(judge(tiny.bundle), ConfigError);
}

}  // namespace
}  // namespace retort::eval
