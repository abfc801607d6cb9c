// Command lines and recipes that cannot be meant: each is refused with one message that names the
// flag, and nothing is written.
#include "cli/refusal.h"
#include "cli/small_data.h"
#include "data/layout_files.h"
#include "retort/core/records.h"

namespace retort {
namespace {

using tests::TempFolder;
using tests::words;
using Parts = std::vector<std::string>;

struct BadLine {
  std::string line;  ///< words; DIR stands for the temporary folder
  Parts parts;
  int code = 2;
};

/// A folder with a small data set in DIR/data.
struct Place : TempFolder {
  Place() { tests::write_small_data(*this / "data"); }

  std::vector<std::string> expand(std::string line) const {
    const std::string good =
        "--data DIR/data --network convnet-w8-d2 --images-per-class 1 --iterations 1 "
        "--real-batch 4 --threads 1 --out DIR/run";
    auto replace = [&](const std::string& from, const std::string& to) {
      for (size_t at = line.find(from); at != std::string::npos; at = line.find(from, at))
        line.replace(at, from.size(), to);
    };
    replace("GOOD", good);
    replace("DIR", path().string());
    return words(line);
  }

  void expect_each_refused(const std::vector<BadLine>& cases) const {
    for (const BadLine& bad : cases) {
      SCOPED_TRACE(bad.line);
      tests::expect_refused(path(), expand(bad.line), bad.code, bad.parts);
    }
  }
};

TEST(BadLine, UnknownNamesAreRefusedWithTheNearest) {
  Place().expect_each_refused({
      {"distil",
       {"there is no command 'distil'", "accepted: distill, reproduce, eval", "mean 'distill'?\n"}},
      {"distill GOOD --imges-per-class 2",
       {"retort distill", "there is no option --imges-per-class", "mean --images-per-class?"}},
      {"distill GOOD extra", {"'extra' is one word too many"}},
      {"distill GOOD --method dmm",
       {"there is no method 'dmm'", "accepted: random, herding", "did you mean 'dm'?\n"}},
      {"distill GOOD --network convnt", {"there is no network 'convnt'", "mean 'convnet'?"}},
      {"distill GOOD --network convnet-inn",
       {"choosing the network 'convnet-inn'", "there is no variant 'inn'", "accepted: d1-d6"}},
      {"distill GOOD --network convnet-d9", {"'d9' is out of range", "accepted: d1 to d6"}},
      {"distill GOOD --network convnet-bn-in",
       {"contradicts an earlier variant", "leave one of them out"}},
      {"distill GOOD --protocol dmn", {"there is no protocol 'dmn'", "dm, dc, datm, rtp", "'dm'?"}},
      {"distill GOOD --augmentation color_flp",
       {"there is no augmentation 'flp'", "flip", "did you mean 'flip'?"}},
      {"distill GOOD --augmentation crop_crop", {"'crop' stands there twice"}},
      {"distill GOOD --parametrisation pixel",
       {"there is no parametrisation 'pixel'", "pixels, memories", "did you mean 'pixels'?"}},
      {"distill GOOD --initialisation zeros", {"--initialisation: 'zeros'", "real, noise"}},
      {"distill GOOD --normalisation zka", {"'zka'", "did you mean 'zca'?"}},
      {"distill GOOD --device gpu", {"there is no device 'gpu'", "cpu, cuda, or cuda:N"}},
      {"distill GOOD --device cuda:x", {"there is no device 'cuda:x'"}},
      {"distill GOOD --device cuda:99", {"'cuda:99' was asked for", "what to do"}, 4},
      {"list metods", {"there is no section 'metods'", "did you mean 'methods'?"}},
      {"describe dmn",
       {"there is no method, parametrisation, network, protocol or stream 'dmn'", "'dm'?"}},
      {"completion tcsh", {"there is no shell 'tcsh'", "bash, zsh, fish"}},
  });
}

TEST(BadLine, WrongValuesAreRefused) {
  Place().expect_each_refused({
      {"distill GOOD --iterations many", {"--iterations: 'many' is not accepted", "an integer"}},
      {"distill GOOD --iterations 2.5", {"--iterations: '2.5'", "an integer from 0 to"}},
      {"distill GOOD --iterations -1", {"--iterations: '-1'"}},
      {"distill GOOD --iterations", {"--iterations"}},
      {"distill GOOD --seed 99999999999999999999", {"--seed: '99999999999999999999'"}},
      {"distill GOOD --image-learning-rate fast", {"--image-learning-rate: 'fast'", "a number"}},
      {"distill GOOD --image-learning-rate nan", {"--image-learning-rate: 'nan'"}},
      {"distill GOOD --image-momentum 2", {"--image-momentum: '2'", "from 0 to 0.9999"}},
      {"distill GOOD --real-batch 0", {"--real-batch: '0'", "at least 1"}},
      {"distill GOOD --resolution 5000", {"--resolution: '5000'", "from 0 to 1024"}},
      {"distill GOOD --validation-fraction 1", {"--validation-fraction: '1'", "from 0 to 0.9"}},
      {"distill GOOD --threads -3", {"--threads: '-3'"}},
      {"distill GOOD --validate-every 1",
       {"--validate-every needs a validation part", "give --validation-fraction"}},
      {"distill GOOD --network convnet-w8-d6",
       {"'convnet-w8-d6' for 1x28x28 images", "layer 'pool'", "larger images or a shallower"}},
      {"distill GOOD --iterations x --seed -1 --jsom",
       {"3 problems", "--iterations: 'x'", "--seed: '-1'", "--jsom; did you mean --json?"}},
      {"eval DIR/run --students 0", {"--students: '0'", "from 1 to 1000"}},
      {"eval DIR/run --part train", {"--part: 'train'", "test, validation"}},
      {"eval DIR/run --protocol dcc", {"--protocol: 'dcc'", "did you mean 'dc'?"}},
      {"eval", {"missing: bundle"}},
      {"report", {"missing: run"}},
      {"distill --data DIR/data", {"missing: --out"}},
      {"export DIR/a", {"missing: --out"}},
      {"import DIR/a", {"missing: --out"}},
      {"describe", {"nothing to describe", "retort list"}},
  });
}

TEST(BadLine, ImagesPerClassThatCannotBeAreRefused) {
  const Place place;
  const auto file = [&](const std::string& name, const std::string& text) {
    tests::write_text(place / name, text);
  };
  file("unknown", "0=1\n1=1\n2=1\n3=1\n4=1\n5=1\n6=1\n7=1\n8=1\n9=1\nten=1\n");
  file("missing", "# all but two\n0=1\n1=1\n2=1\n3=1\n4=1\n5=1\n6=1\n8=1\n");
  file("wrong", "0=many\n1\n2=0\n3=1\n3=1\n4=1\n5=1\n6=1\n7=1\n8=1\n9=11\n");
  place.expect_each_refused({
      {"distill GOOD --images-per-class 0", {"images_per_class '0'", "it is less than 1"}},
      {"distill GOOD --images-per-class -5", {"images_per_class '-5'", "it is less than 1"}},
      {"distill GOOD --images-per-class ten",
       {"images_per_class 'ten'", "neither a number nor a file", "proportional:TOTAL"}},
      {"distill --method random --data DIR/data --network convnet-w8-d2 --out DIR/run "
       "--images-per-class 11",
       {"choosing 11 images", "class '0' has 10 training images, 11 are asked for", "class '9'"}},
      {"distill GOOD --images-per-class proportional:9",
       {"'proportional:9'", "a total from 10 (one a class) to 100"}},
      {"distill GOOD --images-per-class proportional:x", {"'proportional:x'", "a total from"}},
      {"distill GOOD --images-per-class DIR/unknown",
       {"unknown'", "line 11: there is no class 'ten'"}},
      {"distill GOOD --images-per-class DIR/missing",
       {"missing': 2 problems", "class '7' is missing", "class '9' is missing"}},
      {"distill GOOD --images-per-class DIR/wrong",
       {"line 1: '0=many' is not CLASS=COUNT", "line 2: '1'", "line 3: '2=0'",
        "line 5: class '3' is there twice", "class '0' is missing"}},
  });
}

TEST(BadLine, BadRecipesAreRefused) {
  const Place place;
  const auto file = [&](const std::string& name, const std::string& text) {
    tests::write_text(place / name, text);
  };
  file("typo.toml", "method = \"dm\"\niteratons = 5\nseed = \"x\"\n");
  file("broken.toml", "method = \"dm\"\niterations : 5\n");
  file("table.toml", "[data]\npath = \"x\"\n");
  file("method.toml", "method = \"dmm\"\n");
  file("twice.toml", "seed = 1\nseed = 2\n");
  place.expect_each_refused({
      {"distill GOOD --recipe DIR/typo.toml",
       {"2 problems", "typo.toml: iteratons", "there is no option 'iteratons'",
        "did you mean 'iterations'?", "typo.toml: seed: 'x'", "an integer"}},
      {"distill GOOD --recipe DIR/broken.toml",
       {"broken.toml'", "line 2:", "key = value lines", "mend that line"},
       3},
      {"distill GOOD --recipe DIR/twice.toml", {"twice.toml'", "line 2:"}, 3},
      {"distill GOOD --recipe DIR/table.toml", {"table.toml'", "key 'data' is a table"}, 3},
      {"distill GOOD --recipe DIR/method.toml", {"there is no method 'dmm'", "mean 'dm'?"}},
      {"distill GOOD --recipe DIR/none.toml", {"none.toml'", "not there", "check the path"}, 3},
      {"distill GOOD --recipe DIR", {"it is a folder", "check the path"}, 3},
  });
}

TEST(BadLine, PlacesThatCannotBeWrittenAreRefused) {
  RETORT_NEEDS_PARTS();
  const Place place;
  tests::write_text(place / "file", "precious");
  tests::write_text(place / "other" / "notes.txt", "precious");
  std::filesystem::create_directories(place / "empty");
  place.expect_each_refused({
      {"distill GOOD --out /proc/x", {"'/proc/x'", "No such file or directory", "what to do"}, 4},
      {"distill GOOD --out DIR/file", {"file'", "it is a file", "empty folder with --out"}, 5},
      {"distill GOOD --out DIR/file/run", {"file/run'", "Not a directory", "what to do"}, 4},
      {"distill GOOD --out DIR/other",
       {"other'", "it holds files but no recipe.toml", "empty folder with --out"},
       5},
      {"distill GOOD --out DIR/empty --images-per-class proportional:999",
       {"the total is not possible"}},
      {"distill GOOD --init-from DIR/none", {"none'", "it is not there", "check the path"}, 3},
      {"distill GOOD --init-from DIR/file", {"file'", "damaged"}, 3},
      {"data DIR/data --grid /proc/x.png", {"'/proc/x.png'", "what to do"}, 4},
      {"data DIR/data --export-npz DIR/empty", {"empty'", "it is a folder", "another name"}, 4},
  });
}

TEST(BadLine, ExpertsThatCannotBeAreRefused) {
  RETORT_NEEDS_PARTS();
  const Place place;
  tests::write_text(place / "text.pt", "hello world, this is text");
  tests::write_text(place / "other" / "notes.txt", "precious");
  const std::string tiny =
      "experts --data DIR/data --network convnet-w4-d2 --epochs 1 --threads 1 --out DIR/e ";
  const std::string other = tiny.substr(0, tiny.size() - 2);
  place.expect_each_refused({
      {"experts --data DIR/data", {"missing: --out, the folder of the experts"}},
      {tiny + "--count 0", {"--count: '0'", "an integer from 1"}},
      {tiny + "--snapshots float8", {"--snapshots: 'float8'", "float32, float16"}},
      {tiny + "--rho -1", {"--rho: '-1'"}},
      {tiny + "--shard 4/4", {"--shard is '4/4'", "INDEX from 0 to COUNT - 1"}},
      {tiny + "--shard one", {"--shard is 'one'"}},
      {tiny + "--augmentation flap", {"there is no augmentation 'flap'", "'flip'?"}},
      {tiny + "--network convnet-bn", {"'convnet-bn'", "running statistics", "leave the variant"}},
      {tiny + "--network resnet18-bn", {"running statistics"}},
      {tiny + "--count 100 --epochs 100000 --network convnet-w1024-d2",
       {"on disk", "free", "lower --count"},
       4},
      {tiny + "--import DIR/none.pt", {"none.pt'", "not there"}, 3},
      {tiny + "--import DIR/text.pt", {"text.pt'"}, 3},
      {other + "other", {"other'", "so it is not a folder of experts"}, 5},
      {other + "text.pt", {"text.pt'", "it is a file"}, 5},
  });
}

TEST(BadLine, ExpertsOfAnotherCommandAreRefused) {
  const Place place;
  const std::string begun =
      "experts --data DIR/data --network convnet-w4-d2 --count 1 --epochs 1 --threads 1 --out "
      "DIR/e";
  ASSERT_EQ(tests::call(place.expand(begun)).code, 0);
  place.expect_each_refused({
      {begun + " --epochs 2 --flat",
       {"'" + (place / "e").string() + "'", "epochs: was 1, now 2", "flat: was false, now true",
        "a larger --count"},
       5},
      {begun + " --seed 1", {"seed: was 0, now 1", "choose another --out"}, 5},
      {begun + " --normalisation none", {"normalisation: was auto, now none"}, 5},
  });
  tests::write_small_data(place / "data", 1);
  place.expect_each_refused({{begun, {"expert_0000.safetensors'", "its data, by their hash"}, 5}});
  const std::string name = (place / "e" / "expert_0000.safetensors").string();
  tests::write_text(name, tests::read_text(name).substr(0, 3000));
  place.expect_each_refused({{begun, {"expert_0000.safetensors'", "outside the file"}, 3}});
}

TEST(BadLine, TrajectoriesThatDoNotFitAreRefused) {
  const Place place;
  const std::string made =
      "experts --data DIR/data --network convnet-w4-d2 --count 1 --epochs 2 --threads 1 --out "
      "DIR/e";
  ASSERT_EQ(tests::call(place.expand(made)).code, 0);
  std::filesystem::create_directories(place / "empty");
  const std::string mtt =
      "distill --method mtt --data DIR/data --images-per-class 1 --iterations 1 --out DIR/m ";
  place.expect_each_refused({
      {mtt + "--network convnet-w4-d2", {"experts", "`retort experts`"}},
      {mtt + "--network convnet-w4-d2 --experts DIR/empty", {"empty'"}, 3},
      {mtt + "--network convnet-w8-d2 --experts DIR/e", {"expert_0000.safetensors'"}, 5},
      {mtt + "--network convnet-w4-d2 --experts DIR/e",
       {"2 epochs", "--max-start-epoch 15", "need 16"}},
  });
}

TEST(BadLine, ReproductionsThatCannotBeAreRefused) {
  const Place place;
  tests::write_text(place / "r.toml", "method = \"dm\"\nimages_per_class = \"1\"\n");
  place.expect_each_refused({
      {"reproduce --out DIR/r", {"missing: recipe"}},
      {"reproduce DIR/none.toml --out DIR/r", {"none.toml'"}, 3},
      {"reproduce DIR/r.toml", {"missing: --out"}},
      {"reproduce DIR/r.toml --out DIR/r --set iterations", {"--set takes KEY=VALUE"}},
      {"reproduce DIR/r.toml --out DIR/r --data DIR/data --set iterashuns=1",
       {"--iterashuns", "did you mean --iterations?"}},
      {"reproduce DIR/r.toml --out DIR/r --data DIR/data --set experts_count=few",
       {"experts_count: 'few'"}},
  });
}

TEST(BadLine, MemoryLimitsThatCannotBeAreRefused) {
  const Place place;
  place.expect_each_refused({
      {"distill GOOD --memory-limit lots", {"'lots' is not an amount of memory", "such as 800MB"}},
      {"distill GOOD --memory-limit 5kB", {"one image of network", "raise --memory-limit"}, 4},
  });
}

TEST(BadLine, NamesThatAreNotUtf8AreRefusedWithoutASecondFailure) {
  const TempFolder folder;
  const Json error = Json::parse(
      tests::call({"data", (folder / "\xff\xfe").string(), "--json"}).out, nullptr, false);
  ASSERT_TRUE(error.is_object());
  EXPECT_EQ(error.at("exit_code"), 3);
}

}  // namespace
}  // namespace retort
