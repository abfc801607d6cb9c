// Teachers from the command line: squeeze, pack, study, import, kills and refusals.
#include <gtest/gtest.h>

#include "cli/refusal.h"
#include "cli/small_data.h"
#include "retort/core/random.h"
#include "retort/core/records.h"
#include "retort/teachers/teacher.h"
#include "support/support.h"

namespace retort {
namespace {

using tests::Answer;
using tests::call;
using tests::TempFolder;

std::vector<std::string> squeeze(const TempFolder& folder, const std::string& data,
                                 const std::string& out, const std::string& more = {}) {
  return tests::words("squeeze --network convnet-w4-d2-bn --epochs 2 --batch-size 50 --threads 1 " +
                      more + " --data " + (folder / data).string() + " --out " +
                      (folder / out).string());
}

TEST(Teachers, AreSqueezedPackedStudiedAndReadAgain) {
  TempFolder folder;
  tests::write_small_data(folder / "data");
  const Answer packed = call({"pack", (folder / "data").string(), (folder / "a.pack").string()});
  ASSERT_EQ(packed.code, 0) << packed.err;
  EXPECT_NE(packed.out.find("120 images"), std::string::npos) << packed.out;
  ASSERT_EQ(call(squeeze(folder, "data", "plain")).code, 0);
  const Answer made = call(squeeze(folder, "a.pack", "packed"));
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_EQ(
      teachers::read_teacher(folder / "plain/teacher.safetensors").theta.sum().item<float>(),
      teachers::read_teacher(folder / "packed/teacher.safetensors").theta.sum().item<float>());
  const Answer again = call(squeeze(folder, "a.pack", "packed", "--json"));
  EXPECT_TRUE(Json::parse(again.out).at("already_finished")) << again.err;
  ASSERT_EQ(call(squeeze(folder, "data", "moco",
                         "--objective moco --queue 100 --projection 8 --probe-epochs 2"))
                .code,
            0);
  const Answer study =
      call({"study", "bn-statistics", (folder / "plain").string(), (folder / "moco/").string(),
            "--data", (folder / "data").string(), "--images", "60", "--gauge", "3", "--out",
            (folder / "study.html").string()});
  ASSERT_EQ(study.code, 0) << study.err;
  for (const char* part : {"plain x3", "moco", "H1", "H2 scale-free"})
    EXPECT_NE(study.out.find(part), std::string::npos) << part << "\n" << study.out;
  EXPECT_NE(tests::read_text(folder / "study.html").find("std of ln RV"), std::string::npos);
  EXPECT_EQ(Json::parse(tests::read_text(folder / "study.json")).at("teachers").size(), 6U);
}

TEST(Teachers, KilledAtRandomMomentsEndInTheSameBytes) {
  TempFolder folder;
  tests::write_small_data(folder / "data");
  const auto moco = [&](const std::string& out) {
    std::vector<std::string> all =
        squeeze(folder, "data", out, "--objective moco --queue 100 --projection 8");
    all.push_back("--epochs=40");
    return all;
  };
  ASSERT_EQ(tests::wait_for(tests::start(moco("straight"))), 0);
  const auto records = [&] { return tests::lines(folder / "killed" / "records.jsonl"); };
  RandomStream steps(7, "kill.steps");
  int killed = 0;
  for (int round = 0; round < 3; ++round)
    killed +=
        tests::killed_after(moco("killed"), static_cast<int>(1 + steps.uniform_int(10)), records);
  EXPECT_GT(killed, 0);
  ASSERT_EQ(tests::wait_for(tests::start(moco("killed"))), 0);
  for (const char* name : {"teacher.safetensors", "checkpoint.safetensors"})
    EXPECT_EQ(tests::read_text(folder / "straight" / name),
              tests::read_text(folder / "killed" / name))
        << name;
}

TEST(Teachers, ThatCannotBeAreRefusedWithoutATrace) {
  TempFolder folder;
  tests::write_small_data(folder / "data");
  const std::string data = (folder / "data").string();
  tests::write_text(folder / "no.safetensors", "not a teacher at all");
  tests::expect_refused(folder.path(), {"squeeze", "--data", data}, 2, {"--out"});
  tests::expect_refused(folder.path(),
                        squeeze(folder, "data", "out", "--normalisation zca --objective moco"), 2,
                        {"zca"});
  tests::expect_refused(folder.path(), squeeze(folder, "data", "out", "--objective byol"), 2,
                        {"moco"});
  tests::expect_refused(folder.path(), {"study", "bn-statistics", "--data", data}, 2,
                        {"no teacher"});
  tests::expect_refused(
      folder.path(),
      {"study", "bn-statistics", (folder / "no.safetensors").string(), "--data", data}, 3,
      {"no.safetensors"});
  tests::expect_refused(folder.path(),
                        {"import", "--teacher", (folder / "no.safetensors").string(), "--out",
                         (folder / "t.safetensors").string()},
                        3, {"no.safetensors"});
  tests::expect_refused(folder.path(), {"pack", data, (folder / "no.safetensors").string()}, 5,
                        {"no packed set"});
}

}  // namespace
}  // namespace retort
