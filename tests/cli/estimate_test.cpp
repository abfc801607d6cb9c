// --estimate: what it says, and that it leaves nothing behind.
#include <gtest/gtest.h>

#include "cli/invoke.h"
#include "cli/small_data.h"
#include "retort/core/records.h"
#include "support/support.h"

namespace retort {
namespace {

namespace fs = std::filesystem;
using tests::Answer;
using tests::call;

int64_t bytes_in(const fs::path& folder) {
  int64_t sum = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) sum += static_cast<int64_t>(entry.file_size());
  return sum;
}

struct Case {
  tests::TempFolder folder;
  std::string out = (folder / "out").string();
  std::vector<std::string> words;

  explicit Case(std::vector<std::string> command) : words(std::move(command)) {
    tests::write_small_data(folder / "data");
    words.insert(words.end(), {"--data", (folder / "data").string(), "--threads", "1"});
  }
  Json estimate(bool has_out = true) const {
    std::vector<std::string> all = words;
    if (has_out) all.insert(all.end(), {"--out", out});
    all.insert(all.end(), {"--estimate", "--json"});
    const Answer answer = call(all);
    EXPECT_EQ(answer.code, 0) << answer.err;
    EXPECT_FALSE(fs::exists(out));
    return answer.code == 0 ? Json::parse(answer.out).at("estimate") : Json();
  }
  int64_t bytes_of_run() const {
    std::vector<std::string> all = words;
    all.insert(all.end(), {"--out", out});
    const Answer answer = call(all);
    EXPECT_EQ(answer.code, 0) << answer.err;
    return bytes_in(out);
  }
};

void expect_near(const Json& estimate, int64_t bytes) {
  EXPECT_GT(estimate.at("seconds").get<double>(), 0);
  EXPECT_GT(estimate.at("peak_memory_bytes").get<int64_t>(), 0);
  EXPECT_NEAR(estimate.at("disk_bytes").get<double>() / static_cast<double>(bytes), 1, 0.2);
}

TEST(Estimate, OfADistillationHasItsDisk) {
  const Case one({"distill", "--method", "dm", "--network", "convnet-w4-d2", "--images-per-class",
                  "2", "--real-batch", "8", "--iterations", "40"});
  const Json found = one.estimate();
  expect_near(found, one.bytes_of_run());
}

TEST(Estimate, OfExpertsHasTheirDisk) {
  const Case one({"experts", "--network", "convnet-w16-d2", "--count", "2", "--epochs", "3"});
  const Json found = one.estimate();
  expect_near(found, one.bytes_of_run());
}

TEST(Estimate, OfATeacherHasItsDisk) {
  const Case one({"squeeze", "--network", "convnet-w16-d2-bn", "--epochs", "3"});
  const Json found = one.estimate();
  expect_near(found, one.bytes_of_run());
}

TEST(Estimate, OfAnEvaluationKeepsNoRecordOfIt) {
  const Case one(
      {"distill", "--method", "random", "--network", "convnet-w4-d2", "--images-per-class", "1"});
  one.bytes_of_run();
  const std::string before = tests::read_text(fs::path(one.out) / "records.jsonl");
  const Answer found = call({"eval", one.out, "--data", (one.folder / "data").string(),
                             "--students", "2", "--evaluation-epochs", "3", "--estimate"});
  EXPECT_EQ(found.code, 0) << found.err;
  EXPECT_NE(found.out.find("estimate: "), std::string::npos) << found.out;
  EXPECT_EQ(tests::read_text(fs::path(one.out) / "records.jsonl"), before);
}

/// The folder is as large as what was said before anything was trained, experts and all.
TEST(Estimate, OfAReproductionIsSaidBeforeItBegins) {
  const tests::TempFolder folder;
  tests::write_small_data(folder / "data");
  tests::write_text(folder / "recipe.toml",
                    "method = \"mtt\"\nimages_per_class = \"1\"\nnetwork = \"convnet-w16-d2\"\n"
                    "iterations = 3\ninner_steps = 2\nexpert_epochs = 1\nmax_start_epoch = 2\n"
                    "protocol = \"demo\"\nevaluation_epochs = 2\nexperts_count = 3\n"
                    "experts_epochs = 2\n");
  const std::vector<std::string> words{"reproduce",  (folder / "recipe.toml").string(),
                                       "--data",     (folder / "data").string(),
                                       "--out",      (folder / "out").string(),
                                       "--students", "1",
                                       "--threads",  "1"};
  std::vector<std::string> estimate = words;
  estimate.insert(estimate.end(), {"--estimate", "--json"});
  const Answer asked = call(estimate);
  ASSERT_EQ(asked.code, 0) << asked.err;
  EXPECT_FALSE(fs::exists(folder / "out"));
  const Answer first = call(words);
  ASSERT_EQ(first.code, 0) << first.err;
  expect_near(Json::parse(asked.out).at("estimate"), bytes_in(folder / "out"));
  const size_t said = first.err.find("by a few steps of every part");
  EXPECT_LT(said, first.err.find("3 experts of 2 epochs")) << first.err;
  const Answer again = call(words);  // what goes on says nothing of it
  EXPECT_EQ(again.err.find("by a few steps"), std::string::npos) << again.err;
}

TEST(Estimate, RefusesWhatTheCommandWould) {
  const Case one({"distill", "--method", "dm", "--iterations", "many"});
  std::vector<std::string> words = one.words;
  words.push_back("--estimate");
  const Answer found = call(words);
  EXPECT_EQ(found.code, 2);
  EXPECT_NE(found.err.find("--iterations"), std::string::npos) << found.err;
}

}  // namespace
}  // namespace retort
