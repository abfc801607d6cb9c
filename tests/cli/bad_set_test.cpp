// Sets that cannot be evaluated, exported, imported or reported: one message each, and what was
// there stays as it was.
#include <ATen/ATen.h>
#include <sys/stat.h>

#include <limits>

#include "cli/bad_runs.h"
#include "data/layout_files.h"
#include "synthetic/support.h"

namespace retort {
namespace {

using namespace tests;
namespace fs = std::filesystem;

class BadSets : public BadRuns {};

TEST_F(BadSets, EvaluationsThatCannotBeAreRefused) {
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

TEST_F(BadSets, ExportsImportsAndReportsThatCannotBeAreRefused) {
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

TEST_F(BadSets, PictureFoldersAreNotMixed) {
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

TEST_F(BadSets, PublishedFilesRunNoCode) {
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
       {"experiments.pt'", "experiment 2 was asked for, it holds 0"}},
      {"a pickle that ends early",
       {},
       "import DIR/cut.pt --data DIR/data --out DIR/y",
       {"cut.pt'", "in its pickle, at byte", "it ends early"}},
  });
  EXPECT_FALSE(fs::exists(at("owned")));
}

TEST_F(BadSets, ANewExportReplacesAnOldOneWhole) {
  copy_run();
  tests::write_text(at("old.pt"), "an older export");
  EXPECT_EQ(call(expand("export DIR/x --format pt --out DIR/old.pt")).code, 0);
  EXPECT_EQ(tests::read_text(at("old.pt")).substr(0, 2), "PK");
}

}  // namespace
}  // namespace retort
