// Runs and bundles that are damaged or do not fit, places that cannot be written, full disks and
// diverging losses: one message each, and what was there stays as it was.
#include <ATen/ATen.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <functional>
#include <limits>

#include "cli/refusal.h"
#include "cli/small_data.h"
#include "data/layout_files.h"
#include "retort/core/records.h"
#include "retort/io/tensor_file.h"
#include "synthetic/support.h"

namespace retort {
namespace {

namespace fs = std::filesystem;
using tests::Answer;
using tests::call;
using tests::TempFolder;
using Parts = std::vector<std::string>;

struct BadRun {
  std::string fact;
  std::function<void(const fs::path& run)> damage;  ///< changes a copy of the finished run, DIR/x
  std::string line;                                 ///< words; DIR stands for the temporary folder
  Parts parts;
  int code = 3;
};

/// One small data set and one finished run, shared by all cases.
class BadRuns : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    place_ = new TempFolder;
    tests::write_small_data(at("data"));
    ASSERT_EQ(call(expand("GOOD DIR/run")).code, 0);
  }
  static void TearDownTestSuite() { delete place_; }

  static fs::path at(const std::string& name) { return *place_ / name; }

  /// GOOD is the command of the finished run up to its folder; EVAL a short evaluation.
  static std::vector<std::string> expand(std::string line) {
    auto replace = [&](const std::string& from, const std::string& to) {
      for (size_t i = line.find(from); i != std::string::npos; i = line.find(from, i))
        line.replace(i, from.size(), to);
    };
    replace("GOOD",
            "distill --method dm --data DIR/data --network convnet-w8-d2 --images-per-class 1 "
            "--iterations 3 --real-batch 4 --threads 1 --out");
    replace("EVAL", "eval DIR/x --students 1 --evaluation-epochs 2 --threads 1");
    replace("DIR", place_->path().string());
    return tests::words(line);
  }

  /// A fresh copy of the finished run in DIR/x.
  static fs::path copy_run() {
    fs::remove_all(at("x"));
    fs::copy(at("run"), at("x"), fs::copy_options::recursive);
    fs::remove(at("x") / "checkpoint.previous.safetensors");  // nothing to go back to
    return at("x");
  }

  static void expect_each_refused(const std::vector<BadRun>& cases) {
    for (const BadRun& bad : cases) {
      SCOPED_TRACE(bad.fact);
      const fs::path run = copy_run();
      if (bad.damage) bad.damage(run);
      tests::expect_refused(place_->path(), expand(bad.line), bad.code, bad.parts);
    }
  }

 private:
  static inline TempFolder* place_ = nullptr;
};

void cut(const fs::path& file) {
  fs::resize_file(file, fs::file_size(file) / 2);
}

/// A damage that cuts a file of the run in half.
std::function<void(const fs::path&)> halved(const std::string& name) {
  return [=](const fs::path& run) { cut(run / name); };
}

/// A damage that rewrites a tensor file of the run. A run without its result goes on from its
/// checkpoint.
std::function<void(const fs::path&)> edited(const std::string& name,
                                            const std::function<void(TensorFile&)>& edit) {
  return [=](const fs::path& run) {
    TensorFile file = load_tensors(run / name);
    edit(file);
    save_tensors(run / name, file.tensors, file.metadata);
    if (name == "checkpoint.safetensors") fs::remove(run / "distilled.safetensors");
  };
}

/// A damage that flips one bit of the last byte.
std::function<void(const fs::path&)> flipped(const std::string& name) {
  return [=](const fs::path& run) {
    std::string bytes = tests::read_text(run / name);
    bytes.back() ^= 1;
    tests::write_text(run / name, bytes);
  };
}

std::function<void(const fs::path&)> replaced(const std::string& name, const std::string& text) {
  return [=](const fs::path& run) { tests::write_text(run / name, text); };
}

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

TEST_F(BadRuns, EvaluationsThatCannotBeAreRefused) {
  const std::string name = "distilled.safetensors";
  const float nan = std::numeric_limits<float>::quiet_NaN();
  expect_each_refused({
      {"other classes",
       {},
       "EVAL --classes 0,1",
       {"has 10 classes; the data set 'mnist' has 2"},
       5},
      {"another order",
       {},
       "EVAL --classes 1,0,2,3,4,5,6,7,8,9",
       {"class 0 '0'", "class 0 '1'"},
       5},
      {"another size", {}, "EVAL --resolution 14", {"images of 1x28x28", "images of 1x14x14"}, 5},
      {"truncated", halved(name), "EVAL", {"x/distilled.safetensors'", "what to do"}},
      {"empty", replaced(name, ""), "EVAL", {"x/distilled.safetensors'", "it holds 0 bytes"}},
      {"no bundle",
       {},
       "eval DIR/x/checkpoint.safetensors --data DIR/data",
       {"x/checkpoint.safetensors'", "it is not a bundle"}},
      {"not finite",
       edited(name, [=](TensorFile& f) { f.tensors["images"][3][0][0][0] = nan; }),
       "EVAL",
       {"images hold a number that is not finite"}},
      {"labels of no class",
       edited(name, [](TensorFile& f) { f.tensors["labels"][9] = 12; }),
       "EVAL",
       {"label 12 is out of range: there are 10 classes"}},
      {"newer format",
       edited(name, [](TensorFile& f) { f.metadata["format_version"] = "7"; }),
       "EVAL",
       {"format version 7", "use a newer version of retort"},
       5},
      {"absent",
       {},
       "eval DIR/none.safetensors --data DIR/data",
       {"none.safetensors'", "it is not there", "check the path"}},
      {"unfinished",
       [=](const fs::path& run) { fs::remove(run / name); },
       "EVAL",
       {"holds no distilled.safetensors", "finish the run"}},
      {"damaged recipe", replaced("recipe.toml", "="), "EVAL", {"x/recipe.toml'", "line 1"}},
      {"damaged records",
       replaced("records.jsonl", "oops\n{}\n"),
       "EVAL",
       {"records.jsonl'", "line 1 is not a JSON object"}},
      {"no validation part",
       {},
       "EVAL --part validation",
       {"the validation part of 'mnist' is empty", "--validation-fraction"},
       2},
      {"unknown network",
       {},
       "EVAL --networks convnet-w8,resnt18",
       {"there is no network 'resnt18'", "'resnet18'?"},
       2},
      {"a network too deep", {}, "EVAL --networks convnet-d6", {"'convnet-d6' for 1x28x28"}, 2},
      {"diverging students",
       edited(name,
              [](TensorFile& f) {
                f.tensors["student_learning_rate"] = at::scalar_tensor(1e30, at::kDouble);
              }),
       "EVAL",
       {"training convnet-w8-d2", "learning rate 1e+30", "the set's own learned rate",
        "a smaller --student-learning-rate"},
       5},
      {"a bundle to start from that does not fit",
       {},
       "GOOD DIR/y --images-per-class 2 --init-from DIR/x/distilled.safetensors",
       {"it holds 10 images of 10 classes", "20 images of 10 classes"},
       5},
  });
}

TEST_F(BadRuns, ExportsImportsAndReportsThatCannotBeAreRefused) {
  RETORT_NEEDS_PARTS();
  tests::write_text(at("file"), "precious");
  tests::write_text(at("full") / "file", "precious");
  ASSERT_EQ(mkfifo(at("pipe").c_str(), 0600), 0);
  tests::write_text(at("text.pt"), "this is no archive");
  const auto no_result = [](const fs::path& run) { fs::remove(run / "distilled.safetensors"); };
  expect_each_refused({
      {"unknown format",
       {},
       "export DIR/x --format jpg --out DIR/y",
       {"--format: 'jpg'", "png, npz, pt"},
       2},
      {"unwritable place",
       {},
       "export DIR/x --format pt --out /proc/y.pt",
       {"writing '/proc/y.pt'", "what to do"},
       4},
      {"below a file",
       {},
       "export DIR/x --format npz --out DIR/file/y.npz",
       {"file/y.npz'", "Not a directory"},
       4},
      {"onto a folder",
       {},
       "export DIR/x --format pt --out DIR/full",
       {"it is a folder", "full/set.pt", "name a file with --out"},
       2},
      {"onto a pipe", {}, "export DIR/x --format pt --out DIR/pipe", {"not a plain file"}, 4},
      {"damaged bundle onto a file",
       halved("distilled.safetensors"),
       "export DIR/x --format pt --out DIR/file",
       {"x/distilled.safetensors'"}},
      {"unfinished run",
       no_result,
       "export DIR/x --format pt --out DIR/y",
       {"x'", "holds no distilled.safetensors", "finish the run"}},
      {"import of nothing",
       {},
       "import DIR/none.pt --data DIR/data --out DIR/y",
       {"none.pt'", "it is not there", "check the path"}},
      {"import of a text",
       {},
       "import DIR/text.pt --data DIR/data --out DIR/y",
       {"text.pt'", "what to do"}},
      {"import of a folder without images",
       {},
       "import DIR/full --data DIR/data --out DIR/y",
       {"full'", "no class folders with images", "docs/formats.md"}},
      {"report of another folder",
       {},
       "report DIR/data",
       {"data/recipe.toml'", "it is not there", "a run folder, made by `retort distill"}},
      {"report of nothing", {}, "report DIR/none", {"none/recipe.toml'", "check the path"}},
      {"a name longer than a file system takes",
       {},
       "report DIR/" + std::string(300, 'x'),
       {"File name too long", "check the path"},
       4},
      {"report of damaged records",
       replaced("records.jsonl", "[]\n{}\n"),
       "report DIR/x",
       {"records.jsonl'", "line 1 is not a JSON object"}},
  });
}

TEST_F(BadRuns, PictureFoldersAreNotMixed) {
  RETORT_NEEDS_PARTS();
  tests::write_text(at("pictures") / "cow" / "a.png", tests::png(28, 28, 1));
  tests::write_text(at("mine") / "note", "precious");
  expect_each_refused({
      {"onto other files",
       {},
       "export DIR/x --format png --out DIR/mine",
       {"exporting to '", "not empty", "name another folder"},
       5},
      {"into an unwritable place",
       {},
       "export DIR/x --format png --out /proc/y",
       {"'/proc'", "what to do"},
       4},
      {"import of an unknown class",
       {},
       "import DIR/pictures --data DIR/data --out DIR/y",
       {"pictures/cow'", "'cow' is not one of the classes 0, 1"}},
  });
}

TEST_F(BadRuns, PublishedFilesRunNoCode) {
  RETORT_NEEDS_PARTS();
  using synthetic::tests::write_pt;
  const std::string call_system = "cos\nsystem\n(S'touch " + at("owned").string() + "'\ntR";
  write_pt(at("call.pt"), call_system + ".", {});
  write_pt(at("inside.pt"), "(dp0\nS'images'\n" + call_system + "s.", {});
  write_pt(at("experiments.pt"), "(dp0\nS'data'\n(lp1\ns.", {});
  write_pt(at("cut.pt"), "(dp0\nS'images'\n", {});
  expect_each_refused({
      {"a call",
       {},
       "import DIR/call.pt --data DIR/data --out DIR/y",
       {"call.pt'", "neither a tensor, a list nor a dictionary"}},
      {"a call in a dictionary",
       {},
       "import DIR/inside.pt --data DIR/data --out DIR/y",
       {"inside.pt'", "it has no images, and no other"}},
      {"an experiment that is not there",
       {},
       "import DIR/experiments.pt --which 2 --data DIR/data --out DIR/y",
       {"experiments.pt'", "experiment 2 is asked, it holds 0"}},
      {"a pickle that ends early",
       {},
       "import DIR/cut.pt --data DIR/data --out DIR/y",
       {"cut.pt'", "in its pickle, at byte", "it ends early"}},
  });
  EXPECT_FALSE(fs::exists(at("owned")));
}

TEST_F(BadRuns, ANewExportReplacesAnOldOneWhole) {
  copy_run();
  tests::write_text(at("old.pt"), "an older export");
  EXPECT_EQ(call(expand("export DIR/x --format pt --out DIR/old.pt")).code, 0);
  EXPECT_EQ(tests::read_text(at("old.pt")).substr(0, 2), "PK");
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

/// As on a full disk: no file of this process and those it starts grows beyond `bytes`.
class SmallFiles {
 public:
  explicit SmallFiles(rlim_t bytes) {
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit small = before_;
    small.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &small);
  }
  SmallFiles(const SmallFiles&) = delete;
  SmallFiles& operator=(const SmallFiles&) = delete;
  ~SmallFiles() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

bool holds_partial_files(const fs::path& folder) {
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.path().filename().string().find("partial") != std::string::npos) return true;
  return false;
}

TEST_F(BadRuns, AFullDiskLeavesNothingHalfWritten) {
  copy_run();
  tests::write_text(at("kept.pt"), "an older export");
  const auto before = tests::snapshot(at("").parent_path());
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  auto with_small_files = [&](rlim_t bytes, const std::string& line) {
    const SmallFiles limit(bytes);
    return call(expand(line));
  };
  const Parts advice{"File too large", "ulimit -f"};
  auto expect_full = [&](const Answer& answer, const std::string& name) {
    tests::expect_message(answer, 4, {name, advice[0], advice[1]});
  };
  expect_full(with_small_files(4096, "export DIR/x --format pt --out DIR/kept.pt"), "kept.pt'");
  expect_full(with_small_files(4096, "export DIR/x --format npz --out DIR/y.npz"), "y.npz'");
  const Answer judged = with_small_files(64, "EVAL --random-baseline=false");
  expect_full(judged, "x/records.jsonl'");
  EXPECT_NE(judged.err.find("could not be kept: {"), std::string::npos);
  EXPECT_NE(judged.err.find("\"kind\":\"evaluation\""), std::string::npos);
  signal(SIGXFSZ, handler);
  tests::expect_unchanged(before, at("").parent_path());
}

TEST_F(BadRuns, ARunOnAFullDiskGoesOnWhenThereIsSpace) {
  pid_t child = -1;
  {
    const SmallFiles limit(24 << 10);
    child = tests::start(expand("GOOD DIR/full_disk"), at("messages").string());
  }
  EXPECT_EQ(tests::wait_for(child), 4);
  const std::string message = tests::read_text(at("messages"));
  for (const char* part : {"full_disk/checkpoint.safetensors'", "File too large", "ulimit -f"})
    EXPECT_NE(message.find(part), std::string::npos) << message;
  EXPECT_FALSE(holds_partial_files(at("full_disk")));
  EXPECT_FALSE(fs::exists(at("full_disk") / "checkpoint.safetensors"));
  ASSERT_EQ(call(expand("GOOD DIR/full_disk")).code, 0);
  for (const char* name : {"distilled.safetensors", "checkpoint.safetensors"})
    EXPECT_EQ(tests::read_text(at("full_disk") / name), tests::read_text(at("run") / name));
}

}  // namespace
}  // namespace retort
