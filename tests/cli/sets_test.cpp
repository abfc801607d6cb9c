// Several sets of one recipe, and runs side by side.
#include <gtest/gtest.h>

#include <algorithm>

#include "cli/refusal.h"
#include "cli/small_data.h"
#include "retort/core/records.h"
#include "support/support.h"

namespace retort {
namespace {

namespace fs = std::filesystem;
using tests::Answer;
using tests::call;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class SeveralSets : public ::testing::Test {
 protected:
  tests::TempFolder folder_;
  std::string data_ = (folder_ / "data").string(), out_ = (folder_ / "sets").string();

  void SetUp() override { tests::write_small_data(folder_ / "data"); }
  std::vector<std::string> distill(const std::string& out, const std::string& more) const {
    std::vector<std::string> words{"distill",
                                   "--method",
                                   "dm",
                                   "--data",
                                   data_,
                                   "--network",
                                   "convnet-w4-d1",
                                   "--resolution",
                                   "8",
                                   "--images-per-class",
                                   "1",
                                   "--real-batch",
                                   "4",
                                   "--iterations",
                                   "2",
                                   "--threads",
                                   "1",
                                   "--out",
                                   out};
    for (const std::string& word : tests::words(more)) words.push_back(word);
    return words;
  }
  Answer eval(const std::string& more) const {
    std::vector<std::string> words{"eval", out_, "--data", data_, "--threads", "1"};
    for (const std::string& word : tests::words(more)) words.push_back(word);
    return call(words);
  }
  std::string bytes(const fs::path& run) const {
    return tests::read_text(run / "distilled.safetensors");
  }
  static int64_t evaluations(const fs::path& run) {
    const auto records = read_records(run / "records.jsonl");
    return std::count_if(records.begin(), records.end(), [](const Json& record) {
      return record.value("kind", "") == "evaluation";
    });
  }
};

TEST_F(SeveralSets, AreRunsOfTheirSeedsInTheSameBytes) {
  const Answer made = call(distill(out_, "--seeds 3,0 --json"));
  ASSERT_EQ(made.code, 0) << made.err;
  const Json answer = Json::parse(made.out);
  ASSERT_EQ(answer.at("sets").size(), 2U);
  EXPECT_EQ(answer.at("sets")[0].at("seed"), 3);
  EXPECT_TRUE(fs::exists(folder_ / "sets" / "report.html"));
  const std::string alone = (folder_ / "alone").string();
  ASSERT_EQ(call(distill(alone, "--seed 3")).code, 0);
  EXPECT_EQ(bytes(folder_ / "sets" / "seed-3"), bytes(alone));
  EXPECT_NE(bytes(folder_ / "sets" / "seed-0"), bytes(alone));
  EXPECT_FALSE(has(tests::read_text(folder_ / "sets" / "seed-3" / "recipe.toml"), "seeds"));
}

TEST_F(SeveralSets, GoOnWhereTheyWereAndTakeMoreSeeds) {
  ASSERT_EQ(call(distill(out_, "--seeds 0")).code, 0);
  const std::string before = bytes(folder_ / "sets" / "seed-0");
  const Answer more = call(distill(out_, "--seeds 0,1"));
  ASSERT_EQ(more.code, 0) << more.err;
  EXPECT_TRUE(has(more.err, "finished before")) << more.err;
  EXPECT_TRUE(has(more.out, "2 sets by dm")) << more.out;
  EXPECT_EQ(bytes(folder_ / "sets" / "seed-0"), before);
}

TEST_F(SeveralSets, RefuseWhatWouldMixThem) {
  ASSERT_EQ(call(distill(out_, "--seeds 0")).code, 0);
  const auto refused = [&](const std::vector<std::string>& words, int code,
                           const std::vector<std::string>& parts) {
    tests::expect_refused(folder_.path(), words, code, parts);
  };
  refused(distill(out_, "--seeds 1 --real-batch 8"), 5, {"real_batch"});
  refused(distill(out_, "--seeds 0,0"), 2, {"--seeds: 0 is there twice"});
  refused(distill(out_, "--seeds one"), 2, {"--seeds: 'one' is not accepted"});
  refused(distill(out_, "--seeds 0 --seed 1"), 2, {"--seed and --seeds: give one of them"});
  refused(distill(out_ + "/seed-0", "--seeds 0"), 5, {"it holds a single run"});
}

TEST_F(SeveralSets, AreJudgedTogetherWithTheirSpreadsApart) {
  ASSERT_EQ(call(distill(out_, "--seeds 0,1,2")).code, 0);
  const std::string how = "--students 2 --evaluation-epochs 2";
  const Answer found = eval(how);
  ASSERT_EQ(found.code, 0) << found.err;
  EXPECT_TRUE(has(found.out, "3 sets, protocol dm with 2 epochs, hard labels")) << found.out;
  EXPECT_TRUE(has(found.out, "± over sets") && has(found.out, "± over students")) << found.out;
  const auto records = read_records(folder_ / "sets" / "records.jsonl");
  ASSERT_EQ(records.size(), 1U);
  const Json& set = records[0].at("results")[0];
  EXPECT_EQ(set.at("accuracies").size(), 6U);
  EXPECT_EQ(set.at("sets").size(), 3U);
  EXPECT_TRUE(set.contains("deviation_over_sets") && set.contains("deviation_over_students"));
  EXPECT_EQ(records[0].at("results")[1].at("accuracies").size(), 2U) << "random images, once";
  for (const char* name : {"seed-0", "seed-1", "seed-2"}) {
    EXPECT_EQ(evaluations(folder_ / "sets" / name), 1) << name;
    EXPECT_TRUE(
        has(tests::read_text(folder_ / "sets" / name / "report.html"), "random real images"))
        << "the baseline stands beside every set";
  }
  const std::string page = tests::read_text(folder_ / "sets" / "report.html");
  EXPECT_TRUE(has(page, "± over students") && has(page, "seed-2"));

  ASSERT_EQ(eval(how + " --json").code, 0);
  EXPECT_EQ(evaluations(folder_ / "sets" / "seed-1"), 1) << "it was evaluated before";
  EXPECT_EQ(evaluations(folder_ / "sets"), 1) << "and all of them were together";
  ASSERT_EQ(eval("--students 2 --evaluation-epochs 1").code, 0);
  EXPECT_EQ(evaluations(folder_ / "sets" / "seed-1"), 2);
}

TEST_F(SeveralSets, AreReproduced) {
  tests::write_text(folder_ / "recipe.toml",
                    "method = \"random\"\nimages_per_class = \"1\"\nnetwork = \"convnet-w4-d1\"\n"
                    "resolution = 8\nprotocol = \"demo\"\nevaluation_epochs = 1\nseed = 7\n"
                    "published_accuracy = 99\n");
  const auto line = [&](const std::string& more) {
    std::vector<std::string> words{"reproduce",  (folder_ / "recipe.toml").string(),
                                   "--data",     data_,
                                   "--out",      (folder_ / "all").string(),
                                   "--threads",  "1",
                                   "--seeds",    "0,1",
                                   "--students", "2"};
    for (const std::string& word : tests::words(more)) words.push_back(word);
    return words;
  };
  const Answer first = call(line(""));
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_TRUE(has(first.out, "over 2 sets") && has(first.out, "over the students of a set"))
      << first.out;
  const Answer again = call(line("--json"));
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(Json::parse(again.out).at("evaluation").at("sets").size(), 2U);
  EXPECT_EQ(evaluations(folder_ / "all" / "run"), 1) << "it was evaluated before";
  tests::expect_refused(folder_.path(), line("--set seed=1"), 2, {"--set seed and --seeds"});
}

TEST_F(SeveralSets, AndRunsStandSideBySide) {
  const std::string alone = (folder_ / "alone").string();
  ASSERT_EQ(call(distill(alone, "")).code, 0);
  ASSERT_EQ(call(distill(out_, "--seeds 0,1")).code, 0);
  ASSERT_EQ(eval("--students 2 --evaluation-epochs 1").code, 0);
  const std::string page = (folder_ / "both.html").string();
  const Answer both = call({"report", alone, out_, "--out", page, "--json"});
  ASSERT_EQ(both.code, 0) << both.err;
  const Json answer = Json::parse(both.out);
  EXPECT_EQ(answer.at("report"), page);
  const std::string html = tests::read_text(page);
  EXPECT_TRUE(has(html, "Runs side by side") && has(html, "Sets x students"));
  EXPECT_TRUE(has(html, "alone has not been evaluated yet"));
  const std::string csv = tests::read_text(answer.at("csv").get<std::string>());
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 3);
  EXPECT_TRUE(has(tests::read_text(answer.at("latex").get<std::string>()), "\\begin{tabular}"));
  EXPECT_EQ(call({"report", alone}).code, 0);
  EXPECT_EQ(call({"report", out_}).code, 0);
  tests::expect_refused(folder_.path(), {"report", alone, data_}, 3, {"recipe.toml"});
}

TEST_F(SeveralSets, ShowImagesOverIterations) {
  RETORT_NEEDS_PARTS();
  const std::string alone = (folder_ / "alone").string();
  ASSERT_EQ(call(distill(alone, "")).code, 0);
  for (const char* name : {"row-10-000000.png", "row-10-000001.png", "row-10-000002.png"})
    EXPECT_TRUE(fs::exists(fs::path(alone) / "images" / name)) << name;
  EXPECT_TRUE(has(tests::read_text(fs::path(alone) / "report.html"),
                  "The first image of each of the first ten classes"));
}

}  // namespace
}  // namespace retort
