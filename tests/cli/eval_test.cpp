// What an evaluation says of itself: on the terminal, in the records and on the page.
#include <gtest/gtest.h>

#include <regex>

#include "cli/invoke.h"
#include "cli/small_data.h"
#include "retort/core/records.h"
#include "support/support.h"

namespace retort {
namespace {

using tests::Answer;
using tests::call;
using tests::TempFolder;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// One image of every class, chosen at random, of a network of its own.
struct ChosenRun {
  TempFolder folder;
  std::string data = (folder / "data").string(), run = (folder / "run").string();
  explicit ChosenRun(const std::string& protocol = "dm") {
    tests::write_small_data(folder / "data");
    const Answer made =
        call({"distill", "--method", "random", "--data", data, "--images-per-class", "1",
              "--network", "convnet-w4-d2", "--protocol", protocol, "--out", run});
    EXPECT_EQ(made.code, 0) << made.err;
  }
  Answer eval(std::vector<std::string> more) const {
    std::vector<std::string> words{"eval", run, "--data", data};
    words.insert(words.end(), more.begin(), more.end());
    return call(words);
  }
};

TEST(Eval, ChoosesASetOfChanceAnewForEveryStudentAndSaysSo) {
  const ChosenRun one;
  const Answer anew = one.eval({"--evaluation-epochs", "2", "--students", "3", "--json"});
  ASSERT_EQ(anew.code, 0) << anew.err;
  const Json record = Json::parse(anew.out);
  EXPECT_EQ(record.at("results")[0].at("draws"), 3);
  EXPECT_EQ(record.at("results")[1].at("draws"), 3);
  EXPECT_TRUE(has(record.at("notes").dump(), "chosen by 'random' anew for every student"));
  const Answer stored = one.eval({"--evaluation-epochs", "2", "--students", "3", "--redraw", "no"});
  ASSERT_EQ(stored.code, 0) << stored.err;
  EXPECT_TRUE(has(stored.out, "one choice of images by 'random' for all students")) << stored.out;
}

TEST(Eval, RecordsWhatItTestedOnWhenAndWithWhichSeed) {
  const ChosenRun one;
  const Answer found =
      one.eval({"--evaluation-epochs", "2", "--students", "1", "--seed", "4", "--json"});
  ASSERT_EQ(found.code, 0) << found.err;
  const Json record = Json::parse(found.out);
  EXPECT_EQ(record.at("test_images"), 20);
  EXPECT_EQ(record.at("seed"), 4);
  EXPECT_EQ(record.at("shortened"), true);
  EXPECT_EQ(record.at("class_names").size(), 10U);
  EXPECT_EQ(record.at("results")[0].at("class_accuracies").size(), 10U);
  EXPECT_TRUE(std::regex_match(record.at("date").get<std::string>(),
                               std::regex(R"(\d{4}-\d\d-\d\d \d\d:\d\d UTC)")));
  const std::string page = tests::read_text(one.folder / "run" / "report.html");
  EXPECT_TRUE(has(page, "tested on 20 images"));
  EXPECT_TRUE(has(page, record.at("date").get<std::string>()));
}

TEST(Eval, KeepsNoPathInASetAndNamesNoNetworkThatTheRunDidNotUse) {
  const ChosenRun one;
  EXPECT_FALSE(has(tests::read_text(one.folder / "run" / "distilled.safetensors"), one.data));
  const Json run = read_records(one.folder / "run" / "records.jsonl").at(0);
  EXPECT_FALSE(run.contains("network")) << "images drawn at random need none";
  EXPECT_FALSE(run.contains("engine"));
  EXPECT_EQ(run.at("student_network"), "convnet-w4-d2");
}

TEST(Eval, WritesNoDeviationOfOneStudentAndShowsATotal) {
  const ChosenRun one;
  const Answer found = one.eval({"--evaluation-epochs", "2", "--students", "1"});
  ASSERT_EQ(found.code, 0) << found.err;
  EXPECT_FALSE(has(found.out, "±")) << found.out;
  EXPECT_FALSE(has(found.out, "+-")) << found.out;
  EXPECT_TRUE(has(found.out, "protocol dm with 2 epochs, hard labels, tested on 20 images"));
  EXPECT_TRUE(has(found.err, "1 of 2: convnet-w4-d2 on distilled, 1 student\n")) << found.err;
  EXPECT_TRUE(has(found.err, "evaluation, all steps  6/6")) << found.err;
  const std::string passes = "2 epochs are 3 passes over the images";
  EXPECT_TRUE(has(found.out, "steps: batches of training; " + passes)) << found.out;
  EXPECT_TRUE(has(tests::read_text(one.folder / "run" / "report.html"), passes));
}

TEST(Eval, KeepsTheHeadlineOfTheProtocolAboveALaterShortOne) {
  const ChosenRun one("dd");  // three steps
  ASSERT_EQ(one.eval({"--students", "1"}).code, 0);
  ASSERT_EQ(one.eval({"--students", "1", "--evaluation-epochs", "1"}).code, 0);
  const std::string page = tests::read_text(one.folder / "run" / "report.html");
  EXPECT_TRUE(has(page, "by protocol dd, a convnet-w4-d2 gets")) << page.substr(0, 400);
  EXPECT_TRUE(has(page, "protocol dd with 1 epoch;"));
}

}  // namespace
}  // namespace retort
