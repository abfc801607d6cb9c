// The commands score and search from the command line: files, resuming, what they refuse.
#include <gtest/gtest.h>

#include <algorithm>

#include "cli/invoke.h"
#include "cli/small_data.h"
#include "retort/core/records.h"
#include "support/support.h"

namespace retort {
namespace {

using tests::Answer;
using tests::call;
using tests::TempFolder;

/// A run of one random image a class on small data.
struct SmallRun {
  TempFolder folder;
  std::string data = (folder / "data").string(), run = (folder / "run").string(),
              out = (folder / "out").string();
  SmallRun() {
    tests::write_small_data(folder / "data");
    const Answer made = call({"distill", "--method", "random", "--data", data, "--images-per-class",
                              "1", "--network", "convnet-w4-d2", "--out", run});
    EXPECT_EQ(made.code, 0) << made.err;
  }
  Answer score(std::vector<std::string> more = {}) const {
    std::vector<std::string> words{"score",
                                   run,
                                   "--data",
                                   data,
                                   "--out",
                                   out,
                                   "--runs",
                                   "2",
                                   "--rates",
                                   "0.01",
                                   "--evaluation-epochs",
                                   "1",
                                   "--whole-set-epochs",
                                   "1",
                                   "--selection-epochs",
                                   "1"};
    words.insert(words.end(), more.begin(), more.end());
    return call(words);
  }
  Answer search(std::vector<std::string> more = {}) const {
    std::vector<std::string> words{"search",  "--sets",        run,    "--data",
                                   data,      "--out",         out,    "--depths",
                                   "1",       "--widths",      "4,8",  "--norms",
                                   "gn,bn",   "--activations", "relu", "--poolings",
                                   "avgpool", "--epochs",      "2",    "--whole-set-epochs",
                                   "1",       "--tops",        "3"};
    words.insert(words.end(), more.begin(), more.end());
    return call(words);
  }
  std::filesystem::path file(const std::string& name) const {
    return std::filesystem::path(out) / name;
  }
};

TEST(ScoreCommand, WritesTablesJsonAndAPage) {
  const SmallRun one;
  const Answer found = one.score({"--json"});
  ASSERT_EQ(found.code, 0) << found.err;
  const Json score = Json::parse(found.out).at("scores").at(0);
  EXPECT_EQ(score.at("labels"), "hard");
  EXPECT_EQ(score.at("figures").size(), 9u);
  EXPECT_TRUE(score.at("label_robust_score").at("mean").is_number());
  EXPECT_NE(tests::read_text(one.file("scores.csv")).find("LRS"), std::string::npos);
  EXPECT_NE(tests::read_text(one.file("report.html")).find("Scores of sets"), std::string::npos);
  const int before = tests::lines(one.file("records.jsonl"));
  const Answer table = one.score();
  ASSERT_EQ(table.code, 0) << table.err;
  EXPECT_NE(table.out.find("forgetting %"), std::string::npos) << table.out;
  EXPECT_EQ(tests::lines(one.file("records.jsonl")), before);
}

TEST(ScoreCommand, RefusesOtherOptionsInAFolderAndNothingToScore) {
  const SmallRun one;
  ASSERT_EQ(one.score().code, 0);
  const Answer other = one.score({"--runs", "3"});
  EXPECT_EQ(other.code, 5);
  EXPECT_NE(other.err.find("runs: was 2, now 3"), std::string::npos) << other.err;
  const Answer none = call({"score", "--data", one.data});
  EXPECT_EQ(none.code, 2);
  EXPECT_NE(none.err.find("missing: sets..."), std::string::npos) << none.err;
}

TEST(ScoreCommand, BeginsNoFolderForDataThatTheSetDoesNotFit) {
  const SmallRun one;
  EXPECT_NE(one.score({"--classes", "0,1"}).code, 0);
  EXPECT_FALSE(std::filesystem::exists(one.out));
}

TEST(SearchCommand, EndsInTheSameTableAfterAKill) {
  const SmallRun one;
  const Answer found = one.search({"--json"});
  ASSERT_EQ(found.code, 0) << found.err;
  EXPECT_EQ(Json::parse(found.out).at("proxies").size(), 4u);
  const std::string csv = tests::read_text(one.file("search.csv"));
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 5);
  const std::string records = tests::read_text(one.file("records.jsonl"));
  tests::write_text(one.file("records.jsonl"), records.substr(0, records.size() / 3));
  std::filesystem::remove(one.file("search.csv"));
  ASSERT_EQ(one.search().code, 0);
  EXPECT_EQ(tests::read_text(one.file("search.csv")), csv);
  EXPECT_NE(tests::read_text(one.file("report.html")).find("Architecture search"),
            std::string::npos);
}

TEST(SearchCommand, EstimatesWithoutMakingAnything) {
  const SmallRun one;
  const Answer found = one.search({"--estimate", "--json"});
  ASSERT_EQ(found.code, 0) << found.err;
  EXPECT_GT(Json::parse(found.out).at("estimate").at("seconds"), 0);
  EXPECT_FALSE(std::filesystem::exists(one.out));
}

TEST(SearchCommand, RefusesNetworksThatDoNotFitBeforeAnyIsTrained) {
  const SmallRun one;
  const Answer found = one.search({"--depths", "1,9"});
  EXPECT_EQ(found.code, 2);
  EXPECT_NE(found.err.find("convnet-d9"), std::string::npos) << found.err;
  EXPECT_FALSE(std::filesystem::exists(one.out));
}

}  // namespace
}  // namespace retort
