// retort continual: several methods in one folder, going on, and what is refused.
#include <gtest/gtest.h>

#include "cli/continual_settings.h"
#include "cli/refusal.h"
#include "cli/small_data.h"
#include "retort/core/records.h"
#include "support/support.h"

namespace retort {
namespace {

using tests::Answer;
using tests::call;
using tests::TempFolder;

class Continual : public testing::Test {
 protected:
  void SetUp() override { tests::write_small_data(folder_ / "data"); }

  /// ROTATIONS and CLASSES stand for two small streams, OUT for the folder of the stream.
  std::vector<std::string> line(std::string text) const {
    auto replace = [&](const std::string& from, const std::string& to) {
      const size_t at = text.find(from);
      if (at != std::string::npos) text.replace(at, from.size(), to);
    };
    replace("ROTATIONS",
            "continual --stream rotations --tasks 2 --samples-per-task 40 --memory 20 --network "
            "mlp-w8 --evaluation-epochs 2 --threads 1 --data DATA --out OUT");
    replace("CLASSES",
            "continual --stream class-incremental --steps 5 --images-per-class 1 --students 1 "
            "--network convnet-w4-d2 --evaluation-epochs 2 --threads 1 --data DATA --out OUT");
    replace("DATA", (folder_ / "data").string());
    replace("OUT", (folder_ / "out").string());
    return tests::words(text);
  }
  void expect_refused(const std::string& text, int code, const std::vector<std::string>& parts) {
    SCOPED_TRACE(text);
    tests::expect_refused(folder_.path(), line(text), code, parts);
  }
  std::string records() const { return tests::read_text(folder_ / "out" / "records.jsonl"); }

  TempFolder folder_;
};

TEST_F(Continual, PutsSeveralMethodsOnOnePage) {
  for (const char* method : {"online", "replay", "random"}) {
    const Answer made = call(line(std::string("ROTATIONS --orders 1 --method ") + method));
    ASSERT_EQ(made.code, 0) << made.err;
  }
  const Answer table = call(line("ROTATIONS --orders 1 --method random"));
  for (const char* said :
       {"RA: accuracy on all tasks after the last one", "LA: on each task when", "BTI: RA - LA",
        "stored: the sets of all tasks", "samples held: real ones"})
    EXPECT_NE(table.out.find(said), std::string::npos) << said << "\n" << table.out;
  const Answer shown = call(line("ROTATIONS --orders 1 --method random --json"));
  const Json found = Json::parse(shown.out);
  ASSERT_EQ(found.at("methods").size(), 4U);
  EXPECT_EQ(found.at("methods")[3].at("use"), "rehearsal");
  EXPECT_EQ(found.at("methods")[2].at("accuracy_after_task").size(), 2U);
  EXPECT_EQ(found.at("methods")[2].at("buffered_samples"), 40);
  EXPECT_EQ(found.at("methods")[1].at("buffered_samples"), 10);
  const std::string page = tests::read_text(folder_ / "out" / "report.html");
  for (const char* part : {"online", "replay", "random, retrain", "random, rehearsal", "BTI"})
    EXPECT_NE(page.find(part), std::string::npos) << part;
  EXPECT_EQ(call({"report", (folder_ / "out").string()}).code, 0);
  EXPECT_EQ(page, tests::read_text(folder_ / "out" / "report.html"));
}

TEST_F(Continual, RepeatsNothingAndGoesOnWithMoreOrders) {
  const std::string command = "CLASSES --method dm --iterations 2 --real-batch 4 --orders ";
  ASSERT_EQ(call(line(command + "1")).code, 0);
  const std::string before = records();
  ASSERT_EQ(call(line(command + "1")).code, 0);
  EXPECT_EQ(records(), before);
  const Answer more = call(line(command + "2"));
  ASSERT_EQ(more.code, 0) << more.err;
  EXPECT_EQ(records().substr(0, before.size()), before);
  int64_t learned = 0;
  for (const Json& record : read_records(folder_ / "out" / "records.jsonl"))
    learned += record.at("kind") == "learned" ? 1 : 0;
  EXPECT_EQ(learned, 10);
  expect_refused(command + "2 --real-batch 3", 5, {"real_batch: was 4, now 3"});
  expect_refused("CLASSES --method random --orders 2 --images-per-class 2", 5,
                 {"images_per_class: was 1, now 2"});
  const Answer named = call(line(command + "2 --real-batch 3 --name other --json"));
  EXPECT_EQ(Json::parse(named.out).at("methods").size(), 2U);
}

TEST_F(Continual, NamesANumberOfTasksThatTheRecipeCannotHave) {
  ASSERT_EQ(call(line("ROTATIONS --orders 1 --method online")).code, 0);
  const std::filesystem::path recipe = folder_ / "out" / "recipe.toml";
  const std::string before = tests::read_text(recipe), number = "tasks = 2\n";
  ASSERT_NE(before.find(number), std::string::npos) << before;
  for (const char* found : {"99999999999999999999", "1e300", "", "two", "0", "-1", "10001"}) {
    std::string changed = before;
    const std::string text = std::string("tasks = \"") + found + "\"\n";
    changed.replace(before.find(number), number.size(), *found ? text : "");
    tests::write_text(recipe, changed);
    tests::expect_message(
        call({"report", (folder_ / "out").string()}), 3,
        {recipe.string(), std::string("its tasks are '") + found + "'", "from 1 to 10000"});
  }
}

TEST_F(Continual, RefusesWhatCannotBe) {
  expect_refused("ROTATIONS --method dmm", 2, {"online", "replay", "dm"});
  expect_refused("continual --stream rotation --out OUT", 2, {"rotations"});
  expect_refused("CLASSES --method online", 2, {"--images-per-class"});
  expect_refused("continual --method replay --data DATA --out OUT", 2, {"seen once", "rotations"});
  expect_refused("CLASSES --method dm --steps 3", 2, {"10 classes", "3 tasks"});
  expect_refused("CLASSES --method dm --images-per-class half", 2, {"takes a number"});
  expect_refused("CLASSES --method random --images-per-class 50", 2, {"has 10 training images"});
  expect_refused("CLASSES --method dm --validate-every 3", 2, {"--validate-every"});
  expect_refused("CLASSES --method dm --protocol dd", 2, {"--protocol dd", "in any order"});
  expect_refused("CLASSES --method dm --normalisation zca", 2, {"zca"});
  expect_refused("ROTATIONS --method dm --memory 10", 2, {"10 images for 2 tasks", "--memory 20"});
  expect_refused("ROTATIONS --method dm --images-per-class 2", 2, {"--memory 40"});
  expect_refused(
      "ROTATIONS --method dm --memory 10 --parametrisation memories --bases 3 --addressers 200", 2,
      {"more than its task's part", "15.7 kB a task"});
  expect_refused("ROTATIONS --method dm --samples-per-task 400", 2, {"--samples-per-task 100"});
  expect_refused("ROTATIONS --method dm --name a/b", 2, {"--name"});
  expect_refused("ROTATIONS --method dm --iterations 5 --network convnet-d6", 2, {"convnet-d6"});
  expect_refused("continual --stream rotations --data DATA", 2, {"--out"});
}

/// The numbers of one class's images that a stream of 28x28 images settles on.
struct Settled {
  std::string bases, downsample, addressers;
  int64_t numbers;  // of bases and coefficients
};

Settled settled(const std::string& stream, const std::vector<std::string>& more = {}) {
  data::Dataset data;
  data.channels = 1;
  data.height = data.width = 28;
  for (int c = 0; c < 10; ++c) data.class_names.push_back("c" + std::to_string(c));
  const at::Tensor labels = at::arange(1000, at::kLong).remainder(10);
  data.train = data::make_split(at::zeros({1000, 1, 28, 28}, at::kByte), labels, 10);
  data.test = data.train;
  cli::Continual settings(stream, "bptt", "memories");
  OptionSet given;
  settings.declare(given);
  Problems none;
  for (size_t i = 0; i + 1 < more.size(); i += 2) given.set(more[i], more[i + 1], "test", none);
  settings.settle_images_per_class(continual::TaskStream(data, settings.stream, 0), given);
  const auto text = [&](const char* name) { return given.find(name)->text(); };
  const int64_t bases = std::stoll(text("bases")), side = 28 / std::stoll(text("downsample"));
  return {text("bases"), text("downsample"), text("addressers"),
          bases * (side * side + 10 * std::stoll(text("addressers")))};
}

TEST(ContinualMemories, FitTheMemoryOfEveryStreamAtTheirDefaults) {
  // A task's part is ten images, and five of many permutations.
  EXPECT_LE(settled("rotations").numbers, 7840);
  EXPECT_LE(settled("permutations").numbers, 7840);
  EXPECT_LE(settled("many-permutations").numbers, 3920);
  for (const char* stream : {"rotations", "permutations", "many-permutations"})
    EXPECT_GE(std::stoll(settled(stream).addressers), 1) << stream;
}

TEST(ContinualMemories, HaveNoCoarserBasesWherePixelsArePermuted) {
  EXPECT_EQ(settled("rotations").downsample, "2");
  EXPECT_EQ(settled("permutations").downsample, "1");
  EXPECT_EQ(settled("many-permutations").downsample, "1");
}

TEST(ContinualMemories, TakeWhatIsAskedFor) {
  // (3,920 - 10 * 196) / (10 * 10) = 19.6 and (3,920 - 3 * 784) / (3 * 10) = 52.3 matrices.
  EXPECT_EQ(settled("many-permutations", {"bases", "10", "downsample", "2"}).addressers, "19");
  EXPECT_EQ(settled("many-permutations", {"bases", "3"}).addressers, "52");
  EXPECT_EQ(settled("many-permutations", {"bases", "3", "addressers", "7"}).addressers, "7");
}

}  // namespace
}  // namespace retort
