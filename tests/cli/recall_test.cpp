// Mixed queries to memories, and what sets take to store.
#include <gtest/gtest.h>

#include "cli/refusal.h"
#include "cli/small_data.h"
#include "data/layout_files.h"
#include "retort/core/records.h"
#include "support/support.h"

namespace retort {
namespace {

using tests::Answer;
using tests::call;
using tests::TempFolder;

TEST(Recall, DrawsMixedQueriesAndTrainsWithThem) {
  RETORT_NEEDS_PARTS();
  TempFolder folder;
  tests::write_small_data(folder / "data");
  const std::string data = (folder / "data").string(), run = (folder / "run").string();
  const Answer made =
      call(tests::words("distill --method dm --parametrisation memories --bases 12 --addressers 2 "
                        "--images-per-class 1 --iterations 2 --real-batch 4 --resolution 8 "
                        "--network convnet-w4-d2 --protocol demo --data " +
                        data + " --out " + run));
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_NE(made.out.find("coefficients: 960 bytes, as 0.375 images per class"), std::string::npos)
      << made.out;
  EXPECT_NE(tests::read_text(folder / "run" / "report.html").find("Stored bases"),
            std::string::npos);

  const Answer plain = call({"recall", run, "--labels", "0:0.5,3:0.5;7:1"});
  ASSERT_EQ(plain.code, 0) << plain.err;
  EXPECT_NE(plain.out.find("4 images of 2 queries"), std::string::npos) << plain.out;
  EXPECT_TRUE(std::filesystem::exists(folder / "run/images/recall-0_0.5_3_0.5_7_1.png"));
  EXPECT_NE(tests::read_text(folder / "run" / "report.html").find("Recalled"), std::string::npos);

  const Answer evaluated = call({"recall", run, "--labels", "0:1,3:1", "--data", data, "--students",
                                 "1", "--evaluation-epochs", "3", "--json"});
  ASSERT_EQ(evaluated.code, 0) << evaluated.err;
  const Json results = Json::parse(evaluated.out).at("evaluation").at("results");
  ASSERT_EQ(results.size(), 3U);
  EXPECT_EQ(results[0].at("images"), 20);
  EXPECT_EQ(results[1].at("subject"), "random");
  EXPECT_EQ(results[2].at("subject"), "with recalled");
  EXPECT_EQ(results[2].at("images"), 22);
  EXPECT_EQ(results[2].at("steps"), results[0].at("steps"));
}

TEST(Recall, SaysWhatIsWrongWithAQuery) {
  TempFolder folder;
  tests::write_small_data(folder / "data");
  const std::string run = (folder / "run").string();
  const std::string common =
      "distill --method dm --images-per-class 1 --iterations 0 --resolution 8 --network "
      "convnet-w4-d2 --data " +
      (folder / "data").string() + " --out " + run;
  ASSERT_EQ(call(tests::words(common)).code, 0);
  const auto refused = [&](const std::string& target, const std::string& labels, int code,
                           const std::string& part) {
    const Answer answer = call({"recall", target, "--labels", labels});
    EXPECT_EQ(answer.code, code) << labels;
    EXPECT_NE(answer.err.find(part), std::string::npos) << answer.err;
  };
  refused(run, "0:0.5", 5, "its parametrisation is 'pixels'");
  const std::string memories = run + "2";
  ASSERT_EQ(call(tests::words(common + "2 --parametrisation memories --bases 8")).code, 0);
  refused(memories, "cat:1", 2, "cat");
  refused(memories, "0:many", 2, "'many'");
  refused(memories, "0:-1", 2, "'-1'");
  refused(memories, "0:nan", 2, "'nan'");
  refused(memories, "0", 2, "has no weight");
  refused(memories, "0:0", 2, "all 0");
  refused(memories, "", 2, "there is no query");
  refused((folder / "none").string(), "0:1", 3, "none");
}

TEST(Study, DrawsStorageOverClasses) {
  TempFolder folder;
  const std::string page = (folder / "storage.html").string();
  const Answer study = call({"study", "--storage", "100,10", "--images-per-class", "10", "--bases",
                             "16", "--data", "shapes", "--json", "--out", page});
  ASSERT_EQ(study.code, 0) << study.err;
  const Json series = Json::parse(study.out).at("storage").at("series");
  std::map<std::string, Json> found;
  for (const Json& one : series) found[one.at("name")] = one.at("points");
  // Bytes by hand for 10 and 100 classes: 4 for every number, 8 for every label.
  const auto points = [](double few, double many) {
    return Json(std::vector<std::pair<double, double>>{{10, few}, {100, many}});
  };
  EXPECT_EQ(found.at("pixels"), points(10 * 10 * 12288 + 80, 100 * 10 * 12288 + 800));
  EXPECT_EQ(found.at("memories"), points(16 * 3072 + 100 * 64 + 80, 16 * 3072 + 1000 * 64 + 800));
  EXPECT_EQ(found.at("multiformation"), points(30 * 12288 + 80, 300 * 12288 + 800));
  EXPECT_EQ(found.at("frequency"),
            points(150 * 3 * 64 * 4 + 10 * 64 * 4 + 80, 1500 * 3 * 64 * 4 + 100 * 64 * 4 + 800));
  EXPECT_NE(tests::read_text(page).find("Storage of 10 images"), std::string::npos);
  EXPECT_EQ(call({"study", "--storage", "ten", "--data", "shapes", "--out", page}).code, 2);
}

}  // namespace
}  // namespace retort
