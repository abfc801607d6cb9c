// Runs that are damaged, in use, of other options, or whose loss diverges: one message each, and
// what was there stays as it was.
#include <ATen/ATen.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <limits>

#include "cli/bad_runs.h"
#include "retort/core/records.h"

namespace retort {
namespace {

using namespace tests;
namespace fs = std::filesystem;

TEST_F(BadRuns, OtherOptionsOnARunAreRefused) {
  expect_each_refused({
      {"other options",
       {},
       "GOOD DIR/x --images-per-class 2 --seed 3",
       {"x'", "images_per_class: was 1, now 2", "seed: was 0, now 3", "choose another --out"},
       5},
      {"fewer iterations",
       {},
       "GOOD DIR/x --iterations 2",
       {"iterations: was 3, now 2", "a larger --iterations"},
       5},
      {"damaged recipe",
       replaced("recipe.toml", "method = \"dm\"\nseed 0\n"),
       "GOOD DIR/x",
       {"x/recipe.toml'", "line 2", "mend that line"}},
      {"a recipe that lacks a key",
       replaced("recipe.toml", "method = \"dm\"\n"),
       "GOOD DIR/x",
       {"iterations: was (absent), now 3"},
       5},
      {"a recipe with a wrong type",
       replaced("recipe.toml", "iterations = \"x\"\n"),
       "GOOD DIR/x",
       {"iterations: was x, now 3"},
       5},
      {"damaged records",
       replaced("records.jsonl", "{\"kind\": \"run\"}\n{oops\n{}\n"),
       "GOOD DIR/x",
       {"records.jsonl'", "line 2 is not a JSON object", "remove that line"}},
      {"records of another kind",
       replaced("records.jsonl", "{\"kind\": 3}\n{}\n"),
       "GOOD DIR/x",
       {"records.jsonl'", "line 1 is a record whose 'kind' is not text"}},
      {"records whose figures were changed",
       [](const fs::path& run) {
         std::string text = tests::read_text(run / "records.jsonl");
         text.replace(text.find("\"classes\":10"), 12, "\"classes\":11");
         tests::write_text(run / "records.jsonl", text);
       },
       "GOOD DIR/x",
       {"records.jsonl'", "line 1 is damaged", "remove that line"}},
  });
}

TEST_F(BadRuns, ADamagedResultIsMadeAgain) {
  const fs::path run = copy_run();
  const std::string whole = tests::read_text(run / "distilled.safetensors");
  for (const auto& damage : {halved("distilled.safetensors"), flipped("distilled.safetensors")}) {
    damage(run);
    const tests::Answer answer = call(expand("GOOD DIR/x"));
    EXPECT_EQ(answer.code, 0) << answer.err;
    EXPECT_NE(answer.err.find("x/distilled.safetensors'"), std::string::npos) << answer.err;
    EXPECT_NE(answer.err.find("The set is made again"), std::string::npos) << answer.err;
    EXPECT_EQ(tests::read_text(run / "distilled.safetensors"), whole);
  }
}

TEST_F(BadRuns, ADamagedCheckpointGivesWayToTheOneBefore) {
  const std::string more = "GOOD DIR/resumed --checkpoint-every 2 --iterations ";
  ASSERT_EQ(call(expand("GOOD DIR/straight --iterations 9")).code, 0);
  ASSERT_EQ(call(expand(more + "6")).code, 0);
  flipped("checkpoint.safetensors")(at("resumed"));
  fs::remove(at("resumed") / "distilled.safetensors");
  const tests::Answer answer = call(expand(more + "9"));
  EXPECT_EQ(answer.code, 0) << answer.err;
  EXPECT_NE(answer.err.find("the one before it is gone on from"), std::string::npos) << answer.err;
  for (const char* name : {"distilled.safetensors", "checkpoint.safetensors"}) {
    const std::string a = tests::read_text(at("straight") / name),
                      b = tests::read_text(at("resumed") / name);
    EXPECT_TRUE(!a.empty() && a == b) << name;
  }
}

TEST_F(BadRuns, CheckpointsThatDoNotFitAreRefused) {
  const std::string name = "checkpoint.safetensors", more = "GOOD DIR/x --iterations 5";
  expect_each_refused({
      {"truncated", halved(name), more, {"x/checkpoint.safetensors'", "outside the file"}},
      {"empty", replaced(name, ""), more, {"x/checkpoint.safetensors'", "it holds 0 bytes"}},
      {"another file",
       replaced(name, "hello world, this is text"),
       more,
       {"x/checkpoint.safetensors'", "its header claims"}},
      {"another shape",
       edited(name,
              [](TensorFile& file) {
                file.tensors["parameter.images"] = at::zeros({10, 1, 9, 9});
              }),
       "GOOD DIR/x",
       {"parameter.images' has the shape [10, 1, 9, 9]", "[10, 1, 28, 28]"},
       5},
      {"a tensor is missing",
       edited(name, [](TensorFile& file) { file.tensors.erase("velocity.images"); }),
       "GOOD DIR/x",
       {"it has no tensor 'velocity.images'"}},
      {"another format",
       edited(name, [](TensorFile& file) { file.metadata["format"] = "x"; }),
       "GOOD DIR/x",
       {"its format is 'x'", "begin anew"},
       5},
      {"no iteration",
       edited(name, [](TensorFile& file) { file.metadata.erase("iteration"); }),
       "GOOD DIR/x",
       {"its iteration is ''", "a whole number"},
       5},
      {"an iteration beyond the run's",
       edited(name, [](TensorFile& f) { f.metadata["iteration"] = "9223372036854775807"; }),
       "GOOD DIR/x",
       {"its iteration is '9223372036854775807'", "a whole number from 0 to 3"},
       5},
      {"a negative iteration",
       edited(name, [](TensorFile& file) { file.metadata["iteration"] = "-1"; }),
       "GOOD DIR/x",
       {"its iteration is '-1'"},
       5},
      {"not finite",
       edited(name,
              [](TensorFile& file) {
                file.tensors["velocity.images"][3] = std::numeric_limits<float>::infinity();
              }),
       "GOOD DIR/x",
       {"velocity.images' holds a number that is not finite"},
       5},
      {"other data under the same path",
       [](const fs::path&) { tests::write_small_data(at("data"), 1); },
       more,
       {"other data (their hash differs)", "give the same data"},
       5},
  });
  tests::write_small_data(at("data"));
}

TEST_F(BadRuns, ALostCheckpointBeginsTheRunAnew) {
  const fs::path run = copy_run();
  fs::remove(run / "checkpoint.safetensors");
  fs::remove(run / "distilled.safetensors");
  ASSERT_EQ(call(expand("GOOD DIR/x")).code, 0);
  EXPECT_EQ(tests::read_text(run / "distilled.safetensors"),
            tests::read_text(at("run") / "distilled.safetensors"));
  EXPECT_EQ(read_records(run / "records.jsonl").size(),
            read_records(at("run") / "records.jsonl").size());
}

TEST_F(BadRuns, ARunInUseIsRefused) {
  const fs::path run = copy_run();
  const int lock = open((run / ".lock").c_str(), O_RDWR);
  ASSERT_EQ(flock(lock, LOCK_EX | LOCK_NB), 0);
  tests::expect_refused(at("x"), expand("GOOD DIR/x"), 5,
                        {"another process is working in it", "wait for it"});
  close(lock);
}

TEST_F(BadRuns, ALossThatIsNotFiniteKeepsTheCheckpoint) {
  const std::string line =
      "GOOD DIR/diverged --network convnet-w8-d2-nonorm --image-learning-rate 1e30 "
      "--checkpoint-every 1 --iterations 9";
  const Parts parts{"distilling, iteration ", " became ", "lower --image-learning-rate"};
  tests::expect_message(call(expand(line)), 5, parts);
  const TensorFile kept = load_tensors(at("diverged") / "checkpoint.safetensors");
  for (const auto& [name, tensor] : kept.tensors)
    EXPECT_TRUE(at::isfinite(tensor).all().item<bool>()) << name;
  EXPECT_FALSE(fs::exists(at("diverged") / "distilled.safetensors"));
  tests::expect_refused(at("diverged"), expand(line), 5, parts);
}

}  // namespace
}  // namespace retort
