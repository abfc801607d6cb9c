// retort cross-arch: files, resuming, refusals.
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

class CrossArch : public ::testing::Test {
 protected:
  tests::TempFolder folder_;
  std::string data_ = (folder_ / "data").string(), out_ = (folder_ / "cross").string();

  void SetUp() override {
    tests::write_small_data(folder_ / "data");
    for (const char* method : {"dm", "random"})
      ASSERT_EQ(call({"distill", "--method", method, "--data", data_, "--network", "convnet-w4-d1",
                      "--resolution", "8", "--images-per-class", "1", "--iterations", "1", "--seed",
                      "5", "--threads", "1", "--out", (folder_ / method).string()})
                    .code,
                0);
  }
  std::vector<std::string> line(const std::string& more) const {
    std::vector<std::string> words{"cross-arch",
                                   (folder_ / "dm").string(),
                                   (folder_ / "random").string(),
                                   "--data",
                                   data_,
                                   "--students",
                                   "2",
                                   "--evaluation-epochs",
                                   "1",
                                   "--rates",
                                   "0.01,0.1",
                                   "--threads",
                                   "1",
                                   "--out",
                                   out_};
    for (const std::string& word : tests::words(more)) words.push_back(word);
    return words;
  }
  int64_t figures() const {
    const auto records = read_records(folder_ / "cross" / "records.jsonl");
    return std::count_if(records.begin(), records.end(),
                         [](const Json& record) { return record.value("kind", "") == "figure"; });
  }
};

TEST_F(CrossArch, WritesATableOfSetsAndNetworksAndKeepsItsCells) {
  const Answer first = call(line("--networks mlp"));
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_NE(first.out.find("random, 10 images"), std::string::npos) << first.out;
  // Three rows (a set, a choice of real images, random ones) by two networks, two rates and a
  // figure.
  EXPECT_EQ(figures(), 18);
  for (const char* name : {"report.html", "cross-arch.csv", "cross-arch.tex"})
    EXPECT_TRUE(fs::exists(folder_ / "cross" / name)) << name;
  const Answer more = call(line("--networks mlp,convnet-w8-d1 --json"));
  ASSERT_EQ(more.code, 0) << more.err;
  EXPECT_EQ(figures(), 27) << "one network more";
  const Json found = Json::parse(more.out);
  EXPECT_EQ(found.at("networks"), (Json{"convnet-w4-d1", "mlp", "convnet-w8-d1"}));
  EXPECT_EQ(found.at("cells").size(), 9U);
  EXPECT_EQ(found.at("held_out_images"), 10);
  EXPECT_NE(tests::read_text(folder_ / "cross" / "report.html").find("heat-map"),
            std::string::npos);
}

TEST_F(CrossArch, RefusesWhatCannotBe) {
  const auto refused = [&](const std::vector<std::string>& words, int code,
                           const std::vector<std::string>& parts) {
    tests::expect_refused(folder_.path(), words, code, parts);
  };
  refused(line("--rates fast"), 2, {"'fast' is not a learning rate"});
  refused(line("--networks nonesuch"), 2, {"nonesuch"});
  refused(line("--out " + (folder_ / "dm").string()), 5, {"it holds something else"});
  refused({"cross-arch", "--data", data_}, 2, {"missing: sets..."});
  refused({"cross-arch", (folder_ / "dm").string(), "--data", data_}, 2, {"missing: --out"});
}

}  // namespace
}  // namespace retort
