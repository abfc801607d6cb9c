// retort reproduce: what it checks before anything is trained, and what it says of the result.
#include <gtest/gtest.h>

#include "cli/refusal.h"
#include "cli/small_data.h"
#include "retort/core/records.h"
#include "support/support.h"

namespace retort {
namespace {

using tests::Answer;
using tests::call;

constexpr const char* kExperts =
    "method = \"mtt\"\nimages_per_class = \"1\"\nnetwork = \"convnet-w4-d1\"\niterations = 2\n"
    "resolution = 8\ninner_steps = 2\nexpert_epochs = 1\nmax_start_epoch = 2\nprotocol = \"demo\"\n"
    "experts_count = 1\nexperts_epochs = 2\npublished_accuracy = 99.9\n";
constexpr const char* kRandom =
    "method = \"random\"\nimages_per_class = \"1\"\nnetwork = \"convnet-w4-d1\"\nresolution = 8\n";

class Reproduce : public ::testing::Test {
 protected:
  tests::TempFolder folder_;

  void SetUp() override { tests::write_small_data(folder_ / "data"); }
  std::vector<std::string> line(const std::string& recipe, const std::string& more = "") {
    tests::write_text(folder_ / "recipe.toml", recipe);
    std::vector<std::string> all{"reproduce",  (folder_ / "recipe.toml").string(),
                                 "--data",     (folder_ / "data").string(),
                                 "--students", "1",
                                 "--threads",  "1",
                                 "--out",      (folder_ / "out").string()};
    for (const std::string& word : tests::words(more)) all.push_back(word);
    return all;
  }
  void expect_refused(const std::string& recipe, const std::string& more,
                      const std::vector<std::string>& parts) {
    SCOPED_TRACE(more);
    const auto whole = line(recipe, more);
    tests::expect_refused(folder_.path(), whole, 2, parts);
  }
};

TEST_F(Reproduce, ChecksEveryChangeBeforeItTrainsAnything) {
  expect_refused(kExperts, "--set out=zzz", {"--set out", "not a key of a recipe", "--out"});
  expect_refused(kExperts, "--set experts=zzz,threads=2,recipe=x", {"3 problems", "--set threads"});
  expect_refused(kExperts, "--set iteratons=5", {"--set iteratons", "did you mean --iterations?"});
  expect_refused(kExperts, "--set iterations=five", {"--set iterations: 'five' is not accepted"});
  expect_refused(kExperts, "--set image_learning_rate=1e39", {"'1e39' is not accepted"});
  expect_refused(kExperts, "--set experts_count=-1", {"--set experts_count: '-1'"});
  expect_refused(kExperts, "--set evaluation_epochs=x", {"--set evaluation_epochs: 'x'"});
  expect_refused(kExperts, "--set iterations", {"--set takes KEY=VALUE, not 'iterations'"});
  expect_refused(kExperts, "--set experts_epochs=1",
                 {"experts of 1 epochs", "max_start_epoch 2 and expert_epochs 1 need 2"});
  expect_refused(kExperts, "--set images_per_class=many", {"many"});
  expect_refused(kExperts, "--set protocol=dmm", {"there is no protocol 'dmm'"});
  expect_refused(kExperts, "--set method=mtx", {"there is no method 'mtx'"});
  expect_refused("iterations = \"x\"\nseed = -1\n", "", {"2 problems", "recipe.toml: iterations"});
  tests::expect_refused(folder_.path(), {"reproduce", (folder_ / "recipe.toml").string()}, 2,
                        {"missing: --data", "missing: --out"});
}

TEST_F(Reproduce, WhitensOnceForAllItsParts) {
  const Answer answer =
      call(line(kExperts, "--set normalisation=zca,evaluation_epochs=1,iterations=1"));
  ASSERT_EQ(answer.code, 0) << answer.err;
  const std::string note = "whitening: fitting";
  int64_t fits = 0;
  for (size_t at = answer.err.find(note); at != std::string::npos;
       at = answer.err.find(note, at + 1))
    ++fits;
  EXPECT_EQ(fits, 1) << answer.err;
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out" / "experts" / "cache"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out" / "run" / "cache"));
}

TEST_F(Reproduce, ShortensTheEvaluationAndSaysSo) {
  const Answer answer = call(line(kExperts, "--set evaluation-epochs=3,iterations=1"));
  ASSERT_EQ(answer.code, 0) << answer.err;
  for (const char* part : {"1 student\n", "not reached", "one student has no spread",
                           "not the published settings (evaluation-epochs=3, iterations=1)",
                           "no deviation is published, so it is not known"})
    EXPECT_NE(answer.out.find(part), std::string::npos) << part << "\n" << answer.out;
  EXPECT_EQ(answer.out.find("± 0.0"), std::string::npos) << answer.out;
  const Json again =
      Json::parse(call(line(kExperts, "--set evaluation-epochs=3,iterations=1 --json")).out);
  EXPECT_EQ(again.at("evaluation").at("results")[0].at("epochs"), 3);
  Json needed = Json::array();  // told once, although the run was asked for twice
  for (const Json& record : read_records(folder_ / "out" / "run" / "records.jsonl"))
    if (record.at("kind") == "needed") needed.push_back(record);
  ASSERT_EQ(needed.size(), 1U);
  EXPECT_EQ(needed[0].at("what"), "expert");
  EXPECT_EQ(needed[0].at("count"), 1);
  EXPECT_GT(needed[0].at("bytes").get<int64_t>(), 0);
  EXPECT_GT(needed[0].at("seconds").get<double>(), 0);
  EXPECT_GT(needed[0].at("peak_memory_bytes").get<double>(), 0);
  EXPECT_TRUE(again.at("published_deviation").is_null());
}

TEST_F(Reproduce, TellsADeviationOfZeroFromNone) {
  const Json answer =
      Json::parse(call(line(std::string(kRandom) + "protocol = \"demo\"\nevaluation_epochs = 1\n"
                                                   "published_accuracy = 99\n"
                                                   "published_deviation = 0\n",
                            "--json"))
                      .out);
  EXPECT_EQ(answer.at("published_deviation"), 0);
  EXPECT_EQ(answer.at("verdict").get<std::string>().find("not known"), std::string::npos);
}

TEST_F(Reproduce, LabelsByAnotherTeacherThanItRecoversFrom) {
  const std::string recipe = std::string(kRandom) +
                             "protocol = \"frozen\"\nevaluation_epochs = 1\n"
                             "label_teacher = \"convnet-w4-d1-bn\"\npublished_accuracy = 99\n";
  expect_refused(recipe, "", {"missing: --label-teacher", "convnet-w4-d1-bn"});
  const std::string teacher = (folder_ / "teacher").string();
  ASSERT_EQ(
      call({"squeeze", "--data", (folder_ / "data").string(), "--resolution", "8", "--network",
            "convnet-w4-d1-bn", "--epochs", "1", "--threads", "1", "--out", teacher})
          .code,
      0);
  const Answer answer =
      call(line(recipe, "--json --label-teacher " + teacher + "/teacher.safetensors"));
  ASSERT_EQ(answer.code, 0) << answer.err;
  EXPECT_EQ(Json::parse(answer.out).at("evaluation").at("results")[0].at("labels"), "live");
}

}  // namespace
}  // namespace retort
