// Squeeze, recover, relabel, post-train by the commands, and what they refuse.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "cli/invoke.h"
#include "cli/refusal.h"
#include "cli/small_data.h"
#include "retort/core/random.h"
#include "retort/core/records.h"
#include "support/support.h"

namespace retort {
namespace {

namespace fs = std::filesystem;
using tests::call;
using tests::TempFolder;

/// A teacher and a recovered set of small data, shared by all cases.
class Decoupled : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    place_ = new TempFolder;
    tests::write_small_data(at("data"));
    const auto made = call(expand(
        "squeeze --data DIR/data --network convnet-w4-d2-bn --epochs 1 --threads 1 --out DIR/t"));
    ASSERT_EQ(made.code, 0) << made.err;
    const auto run = call(expand("RECOVER --out DIR/run"));
    ASSERT_EQ(run.code, 0) << run.err;
  }
  static void TearDownTestSuite() { delete place_; }

  static fs::path at(const std::string& name) { return *place_ / name; }
  static std::vector<std::string> expand(const std::string& line) {
    return tests::words(tests::in_full(
        line,
        {{"RECOVER",
          "distill --method sre2l --data DIR/data --network convnet-w4-d2-bn --images-per-class 2 "
          "--iterations 5 --protocol frozen --threads 1 TEACHER"},
         {"RELABEL", "relabel DIR/run --evaluation-epochs 40 --threads 1 TEACHER"},
         {"EVAL",
          "eval DIR/run --students 1 --evaluation-epochs 4 --random-baseline=no --threads 1"},
         {"TEACHER", "--teacher DIR/t/teacher.safetensors"},
         {"DIR", place_->path().string()}}));
  }
  static void expect_refused(const std::string& line, int code,
                             const std::vector<std::string>& parts) {
    tests::expect_refused(place_->path(), expand(line), code, parts);
  }

 private:
  static inline TempFolder* place_ = nullptr;
};

TEST_F(Decoupled, StoredLabelsGiveTheAccuracyOfLiveOnes) {
  const auto made =
      call(expand("RELABEL --evaluation-epochs 4 --precision float32 --json --out DIR/f.labels"));
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_EQ(Json::parse(made.out)["label_bytes"],
            static_cast<int64_t>(fs::file_size(at("f.labels"))));
  const auto stored = call(expand("EVAL --json --student-labels DIR/f.labels"));
  const auto live = call(expand("EVAL --json --student-labels live TEACHER"));
  ASSERT_EQ(stored.code, 0) << stored.err;
  ASSERT_EQ(live.code, 0) << live.err;
  const Json a = Json::parse(stored.out)["results"][0], b = Json::parse(live.out)["results"][0];
  EXPECT_EQ(a["accuracies"], b["accuracies"]);
  EXPECT_EQ(a["averaged"], b["averaged"]);
  EXPECT_EQ(a["labels"], "stored");
  EXPECT_EQ(a["label_bytes"], static_cast<int64_t>(fs::file_size(at("f.labels"))));
  EXPECT_EQ(b["label_bytes"], 0);
  const auto hard = call(expand("EVAL --json --student-labels hard"));
  EXPECT_EQ(Json::parse(hard.out)["results"][0]["labels"], "hard");
}

TEST_F(Decoupled, RelabellingKilledAtRandomMomentsEndsInTheSameBytes) {
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(tests::wait_for(tests::start(expand("RELABEL --out DIR/straight.labels"))), 0);
  const double whole =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  RandomStream moments(4, "kill.moments");
  for (int i = 0; i < 3; ++i) {
    const pid_t child = tests::start(expand("RELABEL --out DIR/killed.labels"));
    std::this_thread::sleep_for(std::chrono::duration<double>(moments.uniform(0.3, 1.0) * whole));
    kill(child, SIGKILL);
    tests::wait_for(child);
  }
  ASSERT_EQ(tests::wait_for(tests::start(expand("RELABEL --out DIR/killed.labels"))), 0);
  EXPECT_EQ(tests::read_text(at("straight.labels")), tests::read_text(at("killed.labels")));
}

TEST_F(Decoupled, LabelsThatAreThereAreKept) {
  ASSERT_EQ(call(expand("RELABEL --out DIR/a.labels")).code, 0);
  const auto again = call(expand("RELABEL --out DIR/a.labels"));
  EXPECT_NE(again.out.find("finished before"), std::string::npos);
  expect_refused("RELABEL --seed 1 --out DIR/a.labels", 5, {"other labels", "--out"});
}

TEST_F(Decoupled, WhatDoesNotFitIsRefused) {
  expect_refused("RELABEL --protocol dm --out DIR/x", 2, {"'dm'", "post-training"});
  expect_refused("relabel DIR/run/distilled.safetensors TEACHER", 2, {"--out"});
  expect_refused("relabel DIR/run --out DIR/x --protocol frozen", 2, {"no teacher", "--teacher"});
  expect_refused("RELABEL --top-k 3 --precision int8 --out DIR/x", 2, {"--precision float16"});
  expect_refused("EVAL --student-labels DIR/none", 3, {"none"});
  expect_refused("EVAL --protocol dm TEACHER", 2, {"'dm'", "--teacher"});
  expect_refused(
      "distill --method sre2l --data DIR/data --network convnet-w4-d2-bn --images-per-class 1 "
      "--out "
      "DIR/new",
      2, {"no teacher", "--teacher"});
  expect_refused(
      "distill --method rded --data DIR/data --images-per-class 1 --mosaic 3 TEACHER --out DIR/new",
      2, {"--mosaic 3", "28x28"});
  expect_refused("distill --method scdd --data DIR/data --images-per-class 1 TEACHER --out DIR/new",
                 2, {"trained with labels"});
}

TEST_F(Decoupled, ADamagedFileOfLabelsIsRefused) {
  ASSERT_EQ(call(expand("RELABEL --out DIR/b.labels")).code, 0);
  const std::string bytes = tests::read_text(at("b.labels"));
  tests::write_text(at("c.labels"), bytes.substr(0, bytes.size() / 2));
  expect_refused("EVAL --student-labels DIR/c.labels", 3, {"c.labels"});
  tests::write_text(at("d.labels"), "no labels at all");
  expect_refused("EVAL --student-labels DIR/d.labels", 3, {"d.labels"});
}

}  // namespace
}  // namespace retort
